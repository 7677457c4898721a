// Options of the calibrators, with their defaults: what turns evidence (confidence, agreement) into a threshold.
import { z } from 'zod'

const unit = z.number().min(0).max(1)

/** Schema of {@link FixedOptions}. */
export const fixedOptionsSchema = z.strictObject({
  threshold: unit
    .default(0.9)
    .describe('exit shallow iff confidence > threshold; 1 = never, whatever the evidence'),
})

/** Options of the calibrator `fixed`, complete. */
export type FixedOptions = Readonly<z.output<typeof fixedOptionsSchema>>

/** Options of the calibrator `fixed` as a caller writes them: what is left out takes its default. */
export type FixedOptionsInput = Readonly<z.input<typeof fixedOptionsSchema>>

/** Schema of {@link BetaMixtureOptions}. */
export const betaMixtureOptionsSchema = z
  .strictObject({
    zeta: z.number().gt(0).lt(1).default(0.4).describe('posterior of agreement that an exit needs'),
    low: unit.default(0.3).describe('low end of the range of thresholds'),
    high: unit
      .default(0.9)
      .describe('high end of the range; the label check may raise the threshold beyond it'),
    prior: z
      .enum(['equal', 'empirical'])
      .default('equal')
      .describe('prior of the posterior: one half each, or the fitted weights of the components'),
    labelWeight: unit
      .default(0.2)
      .describe(
        "share of the observed label in a point's responsibility; 0 = labels unused, 1 = labels only",
      ),
    iterations: z.number().int().positive().default(10).describe('steps of the fit'),
    windowSize: z.number().int().positive().default(4096).describe('newest points of evidence that are kept'),
    minEvidence: z
      .number()
      .int()
      .positive()
      .default(20)
      .describe('points needed before evidence decides anything'),
    plentifulEvidence: z
      .number()
      .int()
      .nonnegative()
      .default(512)
      .describe('points from which on only some sequences are flushed at their end and observed'),
    observeEvery: z
      .number()
      .int()
      .positive()
      .default(8)
      .describe('with plentiful evidence, observe one sequence in this many; 1 = all'),
    initialThreshold: unit.default(0.9).describe('threshold while there is less than minEvidence'),
    minAgreement: unit
      .default(0.75)
      .describe('agreement that the evidence above the threshold must show; 0 = any'),
  })
  .refine(({ low, high }) => low <= high, { path: ['low'], message: 'must not exceed high' })
  .refine(({ minEvidence, windowSize }) => minEvidence <= windowSize, {
    path: ['minEvidence'],
    message: 'must not exceed windowSize: the window would never hold enough',
  })

/** Options of the calibrator `beta-mixture`, complete. */
export type BetaMixtureOptions = Readonly<z.output<typeof betaMixtureOptionsSchema>>

/** Options of the calibrator `beta-mixture` as a caller writes them: what is left out takes its default. */
export type BetaMixtureOptionsInput = Readonly<z.input<typeof betaMixtureOptionsSchema>>
