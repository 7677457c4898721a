// Options of resampling: how confidence intervals and p-values are computed. A shape, to be spread into a command's schema.
import { z } from 'zod'

/** How to resample the examples. */
export const bootstrapShape = {
  resamples: z
    .number()
    .int()
    .positive()
    .default(1000)
    .describe('bootstrap resamples behind each interval and p-value'),
  level: z.number().gt(0).lt(1).default(0.95).describe('coverage of the intervals'),
  seed: z.number().int().nonnegative().default(12345).describe('of the resampling'),
}
