// Evaluation: timed, interleaved decoding of a data set, scored; threshold sweeps; evidence for calibration.
export * from './collectEvidence.js'
export * from './compare.js'
export * from './evaluate.js'
export * from './measure.js'
export * from './results.js'
export * from './score.js'
export { quantile } from './summarise.js'
