// Statistics of segments in one flat array, for resampling; and differences of scores computed from their sums.
import { ShallowDeepError } from '../errors.js'

/** Statistics of the segments, a row each, as `segmentStatistics` gives them. */
export type StatisticsRows = readonly (readonly number[])[]

/** Rows of `width` numbers, one after the other. */
export interface StatisticsTable {
  readonly values: Float64Array
  readonly width: number
}

/** Lays rows flat. Throws `metrics.not-finite` where one is not as long as the first or holds what is no finite number. */
export function tabulate(rows: StatisticsRows): StatisticsTable {
  const width = rows[0]?.length ?? 0
  const bad = rows.findIndex((row) => row.length !== width || !row.every(Number.isFinite))
  if (bad < 0) return { values: Float64Array.from(rows.flat()), width }
  throw new ShallowDeepError({
    code: 'metrics.not-finite',
    message: `segment ${bad + 1} must have ${width} finite statistics like the first, got ${rows[bad].join(', ')}`,
    details: { segment: bad },
    kind: 'failure',
  })
}

/** A difference in which the rounding errors of two sums do not pass for a better system. */
export function subtractScores(a: number, b: number): number {
  const difference = a - b
  return Math.abs(difference) <= 1e-12 * Math.max(1, Math.abs(a), Math.abs(b)) ? 0 : difference
}
