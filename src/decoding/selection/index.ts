// The selections, one file each.
export { beams } from './beams.js'
export { createSelection } from './createSelection.js'
export { greedy } from './greedy.js'
export type { Selection } from './selection.js'
export type { Draft, Selector } from './selector.js'
