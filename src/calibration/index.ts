// Calibration: numbers in, numbers out. Turns (confidence, agreement) evidence into a threshold for shallow exits.
export {
  findThreshold,
  fitMixture,
  mixtureLogLikelihood,
  posteriorAgree,
  prepareEvidence,
  START_MIXTURE,
  stepMixture,
} from './betaMixture.js'
export type {
  BetaMixture,
  FitFailure,
  MixtureEvidence,
  MixtureFit,
  MixturePrior,
  PerComponent,
} from './betaMixture.js'
export { betaMixture } from './betaMixtureCalibrator.js'
export { calibrate, calibratorOf, parseCalibration } from './calibrate.js'
export type { CalibrateOptions, Calibration } from './calibrate.js'
export { labelCheckSchema } from './calibrator.js'
export type {
  Calibrator,
  CalibratorDiagnostics,
  CalibratorJSON,
  Evidence,
  LabelCheckDiagnostics,
} from './calibrator.js'
export { EvidenceWindow } from './evidenceWindow.js'
export type { EncodedWindow } from './evidenceWindow.js'
export { fixed } from './fixed.js'
export { confidenceHistogram, densityCurves } from './histogram.js'
export type { ConfidenceHistogram, DensityCurves } from './histogram.js'
export { raiseToAgreement } from './labelCheck.js'
export type { LabelCheck } from './labelCheck.js'
export { calibratorFromJSON, calibratorNames, createCalibrator } from './registry.js'
export type { CalibratorName } from './registry.js'
export { betaPdf, logBeta, logBetaPdf, logGamma } from './special.js'
