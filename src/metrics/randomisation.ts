// Approximate randomisation (Noreen, 1989; for corpus scores Riezler and Maxwell, 2005): how often two systems would
// differ as much as they do, had a coin decided for each segment which of them answered it.
import { ShallowDeepError } from '../errors.js'
import { Random } from '../random.js'
import { requireEqualLengths, type StatisticsScore } from './metric.js'
import { subtractScores, tabulate, type StatisticsRows } from './statisticsTable.js'

/** How to randomise. */
export interface RandomisationOptions {
  /** Exchanges to draw, default 1000. Where all 2^n exchanges of n segments are no more, each is taken once. */
  readonly numTrials?: number
  /** Default 12345. */
  readonly seed?: number
}

/**
 * The two-sided p-value, in (0, 1], of the difference of two systems' scores over the same segments.
 * Throws `metrics.no-segments`, `metrics.length-mismatch`, `metrics.not-finite`, `metrics.bad-option`.
 */
export function randomisationTest(
  metric: StatisticsScore,
  systems: { readonly a: StatisticsRows; readonly b: StatisticsRows },
  { numTrials = 1000, seed = 12345 }: RandomisationOptions = {},
): number {
  requireEqualLengths({ 'segments of a': systems.a, 'segments of b': systems.b })
  const numSegments = systems.a.length
  if (numSegments === 0) {
    throw new ShallowDeepError({
      code: 'metrics.no-segments',
      message: 'a randomisation test needs at least one segment, got none',
    })
  }
  if (!Number.isInteger(numTrials) || numTrials < 1) {
    throw new ShallowDeepError({
      code: 'metrics.bad-option',
      message: `numTrials must be a whole number of at least 1, got ${numTrials}`,
    })
  }
  const difference = differenceAfterExchanges(metric, systems)
  const isExchanged = new Uint8Array(numSegments)
  const observed = Math.abs(difference(isExchanged))
  // Not further than the observed one by rounding alone.
  const isAsFar = () => subtractScores(Math.abs(difference(isExchanged)), observed) >= 0
  let numAsFar = 0
  const numPossible = 2 ** numSegments
  if (numPossible <= numTrials) {
    for (let trial = 0; trial < numPossible; trial++) {
      for (let i = 0; i < numSegments; i++) isExchanged[i] = (trial >> i) & 1
      if (isAsFar()) numAsFar++
    }
    return numAsFar / numPossible
  }
  const random = new Random(seed)
  for (let trial = 0; trial < numTrials; trial++) {
    for (let i = 0; i < numSegments; i++) isExchanged[i] = random.uint32() >>> 31
    if (isAsFar()) numAsFar++
  }
  // The observed outcome is one of the trials: no sample can show a p-value of 0.
  return (numAsFar + 1) / (numTrials + 1)
}

/** The difference of the two scores when the segments that are marked change hands. */
function differenceAfterExchanges(
  metric: StatisticsScore,
  systems: { readonly a: StatisticsRows; readonly b: StatisticsRows },
): (isExchanged: Uint8Array) => number {
  const { values: a, width } = tabulate(systems.a)
  const { values: b } = tabulate(systems.b)
  const numSegments = systems.a.length
  const sumsA = new Float64Array(width)
  const sumsB = new Float64Array(width)
  return (isExchanged) => {
    sumsA.fill(0)
    sumsB.fill(0)
    for (let i = 0, at = 0; i < numSegments; i++) {
      const [first, second] = isExchanged[i] ? [b, a] : [a, b]
      for (let k = 0; k < width; k++, at++) {
        sumsA[k] += first[at]
        sumsB[k] += second[at]
      }
    }
    return subtractScores(metric.aggregate(sumsA, numSegments), metric.aggregate(sumsB, numSegments))
  }
}
