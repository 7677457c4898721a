// Bootstrap resampling of segments (Efron, 1979; for paired systems Koehn, 2004): how far a corpus score, or the
// difference of two systems on the same segments, could move with another choice of segments. It resamples the
// segments' statistics, never the texts. Very small sets are not drawn from but listed in full.
import { ShallowDeepError } from '../errors.js'
import { Random } from '../random.js'
import { requireEqualLengths, type StatisticsScore } from './metric.js'
import { subtractScores, tabulate, type StatisticsRows } from './statisticsTable.js'

/** The mean of plain scores, such as those of another program: give each score as a row of one number. */
export const meanScore: StatisticsScore = { aggregate: (sums, numSegments) => sums[0] / numSegments }

/** How to resample. */
export interface BootstrapOptions {
  /** Resamples to draw, default 1000. Where all n^n resamples of n segments are no more, each is taken once. */
  readonly numResamples?: number
  /** Coverage of the interval between 0 and 1, default 0.95. */
  readonly level?: number
  /** Default 12345. Equal seeds and numbers of segments draw the same segments. */
  readonly seed?: number
}

/** A score, or a difference or ratio of two, with its percentile interval; all in the unit of the score. */
export interface BootstrapInterval {
  /** Of all segments as they are. */
  readonly score: number
  readonly low: number
  readonly high: number
  /** Standard deviation over the resamples. */
  readonly standardError: number
  /** Resamples that were evaluated. */
  readonly numResamples: number
  /** True where all possible resamples were listed, so that nothing depends on the seed. */
  readonly isExact: boolean
}

/** Two systems on the same segments: `score` and interval are those of a's score minus b's. */
export interface PairedBootstrap extends BootstrapInterval {
  readonly scoreA: number
  readonly scoreB: number
  /** Share of resamples in which a is not better than b (one-sided p-value of "a is better"). */
  readonly shareNotBetter: number
  /** Share of resamples in which a is worse than b. */
  readonly shareWorse: number
  /** Two-sided: how likely a difference at least this far from 0 is if the systems are equally good; in (0, 1]. */
  readonly pValue: number
  /** a's score over b's; null where b's is 0 in some resample, since nothing can be said of shares of nothing. */
  readonly ratio: BootstrapInterval | null
}

/**
 * The confidence interval of a metric over segments.
 * Throws `metrics.no-segments`, `metrics.not-finite`, `metrics.bad-option`.
 */
export function bootstrapInterval(
  metric: StatisticsScore,
  statistics: StatisticsRows,
  options: BootstrapOptions = {},
): BootstrapInterval {
  const system = new ResampledSystem(metric, statistics)
  const scores: number[] = []
  const isExact = forEachResample(statistics.length, options, (segments) =>
    scores.push(system.score(segments)),
  )
  return { score: system.score(allSegments(statistics.length)), ...summarise(scores, options), isExact }
}

/**
 * Compares two systems by a metric over the same segments, which both take part in each resample.
 * Throws `metrics.no-segments`, `metrics.length-mismatch`, `metrics.not-finite`, `metrics.bad-option`.
 */
export function pairedBootstrap(
  metric: StatisticsScore,
  systems: { readonly a: StatisticsRows; readonly b: StatisticsRows },
  options: BootstrapOptions = {},
): PairedBootstrap {
  requireEqualLengths({ 'segments of a': systems.a, 'segments of b': systems.b })
  const numSegments = systems.a.length
  const a = new ResampledSystem(metric, systems.a)
  const b = new ResampledSystem(metric, systems.b)
  const differences: number[] = []
  const ratios: number[] = []
  const isExact = forEachResample(numSegments, options, (segments) => {
    const [drawnA, drawnB] = [a.score(segments), b.score(segments)]
    differences.push(subtractScores(drawnA, drawnB))
    ratios.push(drawnA / drawnB)
  })
  const scoreA = a.score(allSegments(numSegments))
  const scoreB = b.score(allSegments(numSegments))
  const numNotBetter = differences.filter((difference) => difference <= 0).length
  const numWorse = differences.filter((difference) => difference < 0).length
  const numNotWorse = differences.length - numWorse
  // One resample more, as if on the other side: no sample can show a p-value of 0 (Davison and Hinkley, 1997).
  const pValue = (2 * (Math.min(numNotBetter, numNotWorse) + 1)) / (differences.length + 1)
  return {
    score: subtractScores(scoreA, scoreB),
    ...summarise(differences, options),
    isExact,
    scoreA,
    scoreB,
    shareNotBetter: numNotBetter / differences.length,
    shareWorse: numWorse / differences.length,
    pValue: Math.min(1, pValue),
    ratio: [scoreA / scoreB, ...ratios].every(Number.isFinite)
      ? { score: scoreA / scoreB, ...summarise(ratios, options), isExact }
      : null,
  }
}

/** Scores of one system over chosen segments; its rows lie flat, and the sums in one array that is used again. */
class ResampledSystem {
  private readonly values: Float64Array
  private readonly width: number
  private readonly sums: Float64Array

  constructor(
    private readonly metric: StatisticsScore,
    rows: StatisticsRows,
  ) {
    const { values, width } = tabulate(rows)
    this.values = values
    this.width = width
    this.sums = new Float64Array(width)
  }

  score(segments: Uint32Array): number {
    const { values, width, sums } = this
    sums.fill(0)
    for (const segment of segments) {
      for (let k = 0, at = segment * width; k < width; k++, at++) sums[k] += values[at]
    }
    return this.metric.aggregate(sums, segments.length)
  }
}

/** Calls back with the segments of each resample (one array, used again); true if they are all there can be. */
function forEachResample(
  numSegments: number,
  options: BootstrapOptions,
  visit: (segments: Uint32Array) => void,
): boolean {
  const { numResamples = 1000, level = 0.95, seed = 12345 } = options
  requireOption(numSegments > 0, 'metrics.no-segments', 'bootstrap needs at least one segment, got none')
  requireOption(
    Number.isInteger(numResamples) && numResamples > 0,
    'metrics.bad-option',
    `numResamples must be a whole number of at least 1, got ${numResamples}`,
  )
  requireOption(level > 0 && level < 1, 'metrics.bad-option', `level must lie between 0 and 1, got ${level}`)
  const segments = new Uint32Array(numSegments)
  const numPossible = numSegments ** numSegments
  if (numPossible <= numResamples) {
    for (let i = 0; i < numPossible; i++) {
      visit(segments)
      for (let digit = 0; digit < numSegments && ++segments[digit] === numSegments; digit++)
        segments[digit] = 0
    }
    return true
  }
  const random = new Random(seed)
  for (let i = 0; i < numResamples; i++) {
    for (let k = 0; k < numSegments; k++) segments[k] = random.integer(numSegments)
    visit(segments)
  }
  return false
}

function summarise(
  scores: readonly number[],
  options: BootstrapOptions,
): Pick<BootstrapInterval, 'low' | 'high' | 'standardError' | 'numResamples'> {
  const tail = (1 - (options.level ?? 0.95)) / 2
  const sorted = Float64Array.from(scores).sort()
  const mean = sorted.reduce((sum, score) => sum + score, 0) / sorted.length
  const variance = sorted.reduce((sum, score) => sum + (score - mean) ** 2, 0) / sorted.length
  return {
    low: interpolateQuantile(sorted, tail),
    high: interpolateQuantile(sorted, 1 - tail),
    standardError: Math.sqrt(variance),
    numResamples: sorted.length,
  }
}

/** The quantile of sorted numbers, linear between neighbours (numpy's default). */
function interpolateQuantile(sorted: Float64Array, share: number): number {
  const position = share * (sorted.length - 1)
  const below = Math.floor(position)
  const above = Math.min(below + 1, sorted.length - 1)
  return sorted[below] + (position - below) * (sorted[above] - sorted[below])
}

function allSegments(numSegments: number): Uint32Array {
  return Uint32Array.from({ length: numSegments }, (_, i) => i)
}

function requireOption(holds: boolean, code: string, message: string): void {
  if (!holds) throw new ShallowDeepError({ code, message })
}
