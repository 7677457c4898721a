// The policies, one file each.
export { createPolicy } from './createPolicy.js'
export { free } from './free.js'
export { full } from './full.js'
export { lossless } from './lossless.js'
export { policyCalibrator } from './policy.js'
export type { Policy, Step, Verification } from './policy.js'
export { rollback } from './rollback.js'
export { staticExit } from './static.js'
