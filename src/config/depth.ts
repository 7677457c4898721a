// Options of the choice of the shallow depth, with their defaults.
import { z } from 'zod'
import { confidenceNames } from './decoding.js'
import { parseConfig } from './parse.js'

const unit = z.number().min(0).max(1)

/** Schema of {@link DepthOptions}. */
export const depthOptionsSchema = z.strictObject({
  minAgreement: unit
    .default(0.98)
    .describe('tokens that leave early must agree with the last layer this often'),
  minEvidence: z
    .number()
    .int()
    .positive()
    .default(50)
    .describe('tokens above a threshold that such an agreement must be counted over'),
  thresholds: z
    .array(unit)
    .default([0.5, 0.9])
    .describe('show the share of tokens that would leave at these')
    .meta({ placeholder: '0..1,0..1,...' }),
  confidence: z
    .enum(confidenceNames)
    .exclude(['learned'])
    .default('top2-gap')
    .describe('what thresholds are compared with; each from 0 to 1, and the same at every layer'),
})

/** Options of the choice of the shallow depth, complete. */
export type DepthOptions = Readonly<z.output<typeof depthOptionsSchema>>

/** The same as a caller writes them: what is left out takes its default. */
export type DepthOptionsInput = Readonly<z.input<typeof depthOptionsSchema>>

/** Checks and completes options of the choice of the shallow depth. Throws `config.*` with all problems in one report. */
export function parseDepthOptions(value: DepthOptionsInput): DepthOptions {
  return parseConfig(depthOptionsSchema, value, 'depth options')
}
