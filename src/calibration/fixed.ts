// The calibrator that evidence does not move: one threshold, given by the user or taken from a saved calibration.
// It checks and counts what evidence it is given, so that its diagnostics tell how well the threshold's tokens agree.
import { z } from 'zod'
import type { FixedOptions, FixedOptionsInput } from '../config/index.js'
import { fixedOptionsSchema, parseConfig } from '../config/index.js'
import type { Calibrator, CalibratorDiagnostics, CalibratorJSON, Evidence } from './calibrator.js'
import { agreementOf, checkEvidence } from './calibrator.js'

/** Saved state of the calibrator `fixed`. */
interface FixedJSON extends CalibratorJSON {
  readonly name: 'fixed'
  readonly options: FixedOptions
  readonly evidenceCount: number
  readonly numAgree: number
}

const savedSchema: z.ZodType<FixedJSON> = z
  .strictObject({
    version: z.literal(1),
    name: z.literal('fixed'),
    options: fixedOptionsSchema,
    evidenceCount: z.number().int().nonnegative(),
    numAgree: z.number().int().nonnegative(),
  })
  .refine(({ evidenceCount, numAgree }) => numAgree <= evidenceCount, {
    path: ['numAgree'],
    message: 'must not exceed evidenceCount',
  })

/** A constant threshold, by default 0.9. Throws `config.*` for bad options. */
export function fixed(options: FixedOptionsInput = {}, source = 'calibrator fixed'): Calibrator {
  return new FixedCalibrator(parseConfig(fixedOptionsSchema, options, source), 0, 0)
}

/** A `fixed` from its saved state. Throws `config.*` for a bad form. */
export function restoreFixed(json: unknown, source: string): Calibrator {
  const { options, evidenceCount, numAgree } = parseConfig(savedSchema, json, source)
  return new FixedCalibrator(options, evidenceCount, numAgree)
}

class FixedCalibrator implements Calibrator {
  readonly name = 'fixed'
  readonly isAdaptive = false

  constructor(
    private readonly options: FixedOptions,
    private evidenceCount: number,
    private numAgree: number,
  ) {}

  get threshold(): number {
    return this.options.threshold
  }

  get diagnostics(): CalibratorDiagnostics {
    const { threshold } = this.options
    return {
      code: 'calibration.fixed',
      message: `fixed threshold ${threshold}`,
      evidenceCount: this.evidenceCount,
      agreement: agreementOf(this.numAgree, this.evidenceCount),
      threshold,
      proposedThreshold: threshold,
      labelCheck: null,
      mixture: null,
      logLikelihood: null,
    }
  }

  /** Never: counting what comes is worth no deep pass. */
  wantsEvidence(): boolean {
    return false
  }

  observe(evidence: readonly Evidence[]): void {
    checkEvidence(evidence)
    this.evidenceCount += evidence.length
    for (const { agree } of evidence) if (agree) this.numAgree++
  }

  toJSON(): FixedJSON {
    const { name, options, evidenceCount, numAgree } = this
    return { version: 1, name, options, evidenceCount, numAgree }
  }
}
