// Offline calibration: fit once over collected evidence, and the object that is saved as `calibration.json` beside a
// checkpoint. A saved calibration serves twice: its threshold unchanged, or as the start of online adaptation.
import { z } from 'zod'
import { parseConfig } from '../config/index.js'
import type { Calibrator, CalibratorDiagnostics, CalibratorJSON, Evidence } from './calibrator.js'
import { agreementOf, calibratorDiagnosticsSchema, checkEvidence } from './calibrator.js'
import { fixed } from './fixed.js'
import type { ConfidenceHistogram, DensityCurves } from './histogram.js'
import { confidenceHistogram, densityCurves } from './histogram.js'
import { calibratorFromJSON, createCalibrator } from './registry.js'

/** What `calibration.json` holds. */
export interface Calibration {
  readonly version: 1
  /** Name of the calibrator. */
  readonly calibrator: string
  /** Its options, complete: zeta, range, minAgreement, ... */
  readonly options: Readonly<Record<string, unknown>>
  /** Exit shallow iff confidence > threshold; 1 = never. */
  readonly threshold: number
  /** Layers S of the shallow exit that the evidence is of. */
  readonly shallowLayers: number
  /** Name of the confidence measure that the evidence is of. */
  readonly confidence: string
  /** All points given; the calibrator's window may hold fewer (see `diagnostics.evidenceCount`). */
  readonly evidenceCount: number
  /** Share of all points that agreed; null without evidence. */
  readonly agreement: number | null
  /** Why the threshold is what it is. */
  readonly diagnostics: CalibratorDiagnostics
  /** Counts of all points by confidence and label. */
  readonly histogram: ConfidenceHistogram
  /** The fitted densities; null where no mixture was fitted. */
  readonly densities: DensityCurves | null
  /** The calibrator with its evidence, to adapt on from here. */
  readonly state: CalibratorJSON
}

/** How to calibrate. */
export interface CalibrateOptions {
  /** Layers S of the shallow exit. */
  readonly shallowLayers: number
  /** Name of the confidence measure; default `top2-gap`. */
  readonly confidence?: string
  /** Name in the registry; default `beta-mixture`. */
  readonly calibrator?: string
  /** Options of that calibrator; default its defaults. */
  readonly options?: Readonly<Record<string, unknown>>
}

const counts = z.array(z.number().int().nonnegative())
const densities = z.array(z.number().nonnegative())

const calibrationSchema: z.ZodType<Calibration> = z.strictObject({
  version: z.literal(1),
  calibrator: z.string(),
  options: z.record(z.string(), z.unknown()),
  threshold: z.number().min(0).max(1),
  shallowLayers: z.number().int().positive(),
  confidence: z.string(),
  evidenceCount: z.number().int().nonnegative(),
  agreement: z.number().min(0).max(1).nullable(),
  diagnostics: calibratorDiagnosticsSchema,
  histogram: z.strictObject({ agree: counts, disagree: counts }),
  densities: z
    .strictObject({
      confidence: densities,
      agree: densities,
      disagree: densities,
      weight: z.tuple([z.number(), z.number()]).readonly(),
    })
    .nullable(),
  state: z.looseObject({ version: z.literal(1), name: z.string() }),
})

/**
 * Fits a calibrator to evidence, in order (of more than its window holds, the newest count). Degenerate evidence gives a
 * stated code in `diagnostics`, no error. Throws as `Calibrator.observe` does for NaN and the like,
 * `calibration.unknown-calibrator`, and `config.*` for bad options.
 */
export function calibrate(evidence: readonly Evidence[], options: CalibrateOptions): Calibration {
  checkEvidence(evidence)
  const calibrator = createCalibrator(options.calibrator ?? 'beta-mixture', options.options)
  calibrator.observe(evidence)
  const state = calibrator.toJSON()
  const { diagnostics } = calibrator
  const numAgree = evidence.filter(({ agree }) => agree).length
  return {
    version: 1,
    calibrator: calibrator.name,
    options: state.options as Readonly<Record<string, unknown>>,
    threshold: calibrator.threshold,
    shallowLayers: options.shallowLayers,
    confidence: options.confidence ?? 'top2-gap',
    evidenceCount: evidence.length,
    agreement: agreementOf(numAgree, evidence.length),
    diagnostics,
    histogram: confidenceHistogram(evidence),
    densities: diagnostics.mixture && densityCurves(diagnostics.mixture),
    state,
  }
}

/**
 * Checks parsed JSON of a `calibration.json`. Throws `config.*` with all problems in one report.
 * @param source the file, for messages
 */
export function parseCalibration(json: unknown, source: string): Calibration {
  return parseConfig(calibrationSchema, json, source)
}

/**
 * The calibrator that a saved calibration asks for: `calibrated` keeps its threshold for good, `adaptive` goes on from
 * its evidence. Throws as `calibratorFromJSON` does.
 */
export function calibratorOf(
  calibration: Calibration,
  mode: 'calibrated' | 'adaptive',
  source = 'saved calibration',
): Calibrator {
  return mode === 'calibrated'
    ? fixed({ threshold: calibration.threshold })
    : calibratorFromJSON(calibration.state, source)
}
