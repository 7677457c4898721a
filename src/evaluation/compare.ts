// Two runs over the same examples: how much of the baseline's quality the candidate keeps and how much faster it is, each
// with an interval and the qualities with p-values. A sentence such as "keeps 99 % of the BLEU" rests on this.
import type { Prediction } from '../data/index.js'
import {
  describeMetric,
  pairedBootstrap,
  randomisationTest,
  segmentStatistics,
  sumStatistics,
  type BootstrapOptions,
  type Metric,
  type StatisticsRows,
  type StatisticsScore,
} from '../metrics/index.js'

/** What one system answered to all examples, in their order. */
export interface ComparedRun {
  readonly predictions: readonly Prediction[]
  /** Of the whole run, where the predictions have no times of their own. Neutral: undefined. */
  readonly msPerTokenMean?: number
}

/** A number with its interval. */
export interface Estimate {
  readonly value: number
  /** Ends of the percentile bootstrap interval; null where none can be computed. */
  readonly low: number | null
  readonly high: number | null
}

/** Two runs by one metric. */
export interface QualityComparison {
  /** Scores, 0 to 100. */
  readonly baseline: number
  readonly candidate: number
  /** The candidate's score minus the baseline's. */
  readonly difference: Estimate
  /** The candidate's score over the baseline's; null where the baseline scores 0, in all examples or in a resample. */
  readonly ratio: Estimate | null
  /** Two-sided p-values, in (0, 1], of a difference at least this large between equally good systems. */
  readonly pValue: { readonly bootstrap: number; readonly randomisation: number }
  readonly signature: string
}

/** Two runs by their decoding times, encoder apart. */
export interface LatencyComparison {
  /** Total decoding time over total tokens. */
  readonly baselineMsPerToken: number
  readonly candidateMsPerToken: number
  /**
   * The baseline's ms per token over the candidate's; without an interval where only means are known. The interval is
   * over the choice of examples: what slowed one of the runs as a whole is not in it.
   */
  readonly speedup: Estimate
}

/** What `compare --json` prints, the names of the two runs apart. */
export interface Comparison {
  readonly examples: number
  /** By name of the metric, in the order asked for. */
  readonly quality: Readonly<Record<string, QualityComparison>>
  /** Null unless both runs were timed. */
  readonly latency: LatencyComparison | null
}

export interface CompareOptions {
  readonly baseline: ComparedRun
  readonly candidate: ComparedRun
  /** References of each example. */
  readonly references: readonly (readonly string[])[]
  readonly metrics: readonly Metric[]
  readonly bootstrap?: BootstrapOptions
}

/**
 * Compares two runs by resampling the examples, each with both answers to it. A single example has no intervals.
 * Throws `metrics.no-segments`, `metrics.length-mismatch`, `metrics.no-references` and `metrics.bad-option`.
 */
export function compareRuns(options: CompareOptions): Comparison {
  const { baseline, candidate, references, metrics } = options
  return {
    examples: references.length,
    quality: Object.fromEntries(metrics.map((metric) => [metric.name, compareQuality(metric, options)])),
    latency: compareTimes(baseline, candidate, options.bootstrap),
  }
}

function compareQuality(metric: Metric, options: CompareOptions): QualityComparison {
  const { baseline, candidate, references, bootstrap } = options
  const rowsOf = ({ predictions }: ComparedRun) =>
    segmentStatistics(
      metric,
      predictions.map(({ text }) => text),
      references,
    )
  const systems = { a: rowsOf(candidate), b: rowsOf(baseline) }
  const result = pairedBootstrap(metric, systems, bootstrap)
  return {
    baseline: result.scoreB,
    candidate: result.scoreA,
    difference: toEstimate(result, references.length),
    ratio: result.ratio && toEstimate(result.ratio, references.length),
    pValue: {
      bootstrap: result.pValue,
      randomisation: randomisationTest(metric, systems, {
        numTrials: bootstrap?.numResamples,
        seed: bootstrap?.seed,
      }),
    },
    signature: describeMetric(metric, references),
  }
}

/** Total time over total tokens, of rows [decoding ms, tokens]. */
const msPerToken: StatisticsScore = { aggregate: (sums) => sums[0] / sums[1] }

function compareTimes(
  baseline: ComparedRun,
  candidate: ComparedRun,
  bootstrap: BootstrapOptions | undefined,
): LatencyComparison | null {
  const [a, b] = [timesOf(baseline), timesOf(candidate)]
  if (a && b) {
    const { scoreA, scoreB, ratio } = pairedBootstrap(msPerToken, { a, b }, bootstrap)
    if (!ratio) return null
    return {
      baselineMsPerToken: scoreA,
      candidateMsPerToken: scoreB,
      speedup: toEstimate(ratio, a.length),
    }
  }
  const baselineMsPerToken = a ? meanOf(a) : baseline.msPerTokenMean
  const candidateMsPerToken = b ? meanOf(b) : candidate.msPerTokenMean
  if (baselineMsPerToken === undefined || candidateMsPerToken === undefined) return null
  const speedup = { value: baselineMsPerToken / candidateMsPerToken, low: null, high: null }
  return { baselineMsPerToken, candidateMsPerToken, speedup }
}

function meanOf(rows: StatisticsRows): number {
  return msPerToken.aggregate(sumStatistics(rows), rows.length)
}

/** Rows [decoding ms, tokens]; undefined where a prediction was not timed. */
function timesOf({ predictions }: ComparedRun): StatisticsRows | undefined {
  const rows = predictions.map(({ decodingMs, tokens }) => [decodingMs ?? NaN, tokens?.length ?? NaN])
  return rows.every(([ms, numTokens]) => ms >= 0 && numTokens > 0) ? rows : undefined
}

function toEstimate(
  { score, low, high }: { readonly score: number; readonly low: number; readonly high: number },
  numExamples: number,
): Estimate {
  return numExamples > 1 ? { value: score, low, high } : { value: score, low: null, high: null }
}
