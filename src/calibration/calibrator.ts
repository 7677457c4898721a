// What every calibrator is: evidence in, threshold out, with the reason for it. Here also the check of evidence, which
// all calibrators share. Branch codes of the beta mixture are listed in betaMixtureCalibrator.ts.
import { z } from 'zod'
import { ShallowDeepError } from '../errors.js'
import type { BetaMixture } from './betaMixture.js'

/** One flushed position: the confidence of its shallow exit in [0, 1], and whether shallow and deep chose alike. */
export interface Evidence {
  readonly confidence: number
  readonly agree: boolean
}

/** Why a calibrator's threshold is what it is; plain JSON. */
export interface CalibratorDiagnostics {
  /** The branch that proposed the threshold: `calibration.fitted`, `calibration.no-evidence`, ... */
  readonly code: string
  /** The same in words, with its numbers; one line. */
  readonly message: string
  /** Points of evidence held. */
  readonly evidenceCount: number
  /** Share of them that agreed, in [0, 1]; null without evidence. */
  readonly agreement: number | null
  /** The threshold to use, in [0, 1]. */
  readonly threshold: number
  /** The threshold before the labels were checked. */
  readonly proposedThreshold: number
  /** Outcome of the label check; null where none was made. */
  readonly labelCheck: LabelCheckDiagnostics | null
  /** The fitted mixture; null where there is none. */
  readonly mixture: BetaMixture | null
  /** Log likelihood of the evidence under it, summed, natural log; null without a mixture. */
  readonly logLikelihood: number | null
}

/** What became of a proposed threshold under the labels. */
export interface LabelCheckDiagnostics {
  /** Kept as it was, raised, or refused: no threshold below 1 shows enough agreement over enough points. */
  readonly code: 'calibration.labels-kept' | 'calibration.labels-raised' | 'calibration.labels-refused'
  /** Points of evidence above the threshold; 0 when refused. */
  readonly evidenceCount: number
  /** Share of these that agreed; null when refused. */
  readonly agreement: number | null
}

const unit = z.number().min(0).max(1)
const count = z.number().int().nonnegative()
const positivePair = z.tuple([z.number().positive(), z.number().positive()]).readonly()

/** Schema of {@link LabelCheckDiagnostics}. */
export const labelCheckSchema: z.ZodType<LabelCheckDiagnostics> = z.strictObject({
  code: z.enum(['calibration.labels-kept', 'calibration.labels-raised', 'calibration.labels-refused']),
  evidenceCount: count,
  agreement: unit.nullable(),
})

/** Schema of {@link CalibratorDiagnostics}, for restoring. */
export const calibratorDiagnosticsSchema: z.ZodType<CalibratorDiagnostics> = z.strictObject({
  code: z.string(),
  message: z.string(),
  evidenceCount: count,
  agreement: unit.nullable(),
  threshold: unit,
  proposedThreshold: unit,
  labelCheck: labelCheckSchema.nullable(),
  mixture: z.strictObject({ alpha: positivePair, beta: positivePair, weight: positivePair }).nullable(),
  logLikelihood: z.number().nullable(),
})

/** A calibrator's whole state as plain JSON: its form, its name in the registry, and what that calibrator needs. */
export interface CalibratorJSON {
  readonly version: 1
  readonly name: string
  readonly [key: string]: unknown
}

/** Turns evidence into a threshold. */
export interface Calibrator {
  /** Its name in the registry, as `--calibrator` takes it. */
  readonly name: string
  /** Whether evidence moves the threshold. */
  readonly isAdaptive: boolean
  /** Exit shallow iff confidence > threshold; in [0, 1], 1 = never. */
  readonly threshold: number
  /** The reason for the threshold. */
  readonly diagnostics: CalibratorDiagnostics
  /**
   * Whether all evidence of a sequence is wanted, `index` sequences after the next one to be observed (0: that one).
   * Decoding then by default flushes what is pending at its end. Evidence of a sequence that is not flushed there is
   * biased, as its surest tokens are missing: it is to be left out whole, and `observe` told of it by an empty list.
   */
  wantsEvidence(index: number): boolean
  /**
   * Takes all evidence of one finished sequence, in order; an empty list for one whose evidence was not wanted. Throws `calibration.not-a-number`,
   * `calibration.confidence-out-of-range` or `calibration.not-a-label`; the calibrator is then as before.
   */
  observe(evidence: readonly Evidence[]): void
  /** Everything that `calibratorFromJSON` needs to go on in the same way. */
  toJSON(): CalibratorJSON
}

/** Checks evidence as it comes in. Throws as {@link Calibrator.observe} does, naming the first bad point. */
export function checkEvidence(evidence: readonly Evidence[]): void {
  for (const [index, { confidence, agree }] of evidence.entries()) {
    if (Number.isNaN(confidence) || Number.isNaN(agree)) {
      const key = Number.isNaN(confidence) ? 'confidence' : 'agree'
      throw badEvidence('calibration.not-a-number', index, `${key} is NaN`, {
        hint: 'look for a NaN or an infinity in the logits: the weights or the input are broken',
        value: 'NaN',
      })
    }
    if (typeof confidence !== 'number' || !(confidence >= 0 && confidence <= 1)) {
      throw badEvidence(
        'calibration.confidence-out-of-range',
        index,
        `expected a confidence in [0, 1], got ${String(confidence)}`,
        { hint: 'a confidence measure must answer a number from 0 to 1', value: String(confidence) },
      )
    }
    if (typeof agree !== 'boolean') {
      throw badEvidence(
        'calibration.not-a-label',
        index,
        `expected agree true or false, got ${String(agree)}`,
        {
          hint: 'agree says whether the shallow and the deep exit chose the same token',
          value: String(agree),
        },
      )
    }
  }
}

function badEvidence(
  code: string,
  index: number,
  what: string,
  { hint, value }: { readonly hint: string; readonly value: string },
): ShallowDeepError {
  return new ShallowDeepError({
    code,
    message: `evidence, point ${index + 1}: ${what}`,
    hint,
    details: { index, value },
    kind: 'failure',
  })
}

/** Share of evidence that agreed, in [0, 1]; null without evidence. */
export function agreementOf(numAgree: number, evidenceCount: number): number | null {
  return evidenceCount === 0 ? null : numAgree / evidenceCount
}
