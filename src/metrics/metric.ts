// What every metric is to the rest of the program: statistics of a segment that add up, and one number from their
// sum. Corpus scores, single segments and bootstrap resamples all go through the same two functions.
// Signatures have sacreBLEU's form (Post, 2018, "A Call for Clarity in Reporting BLEU Scores").
import { ShallowDeepError } from '../errors.js'

/** Stands in every signature's `version` field; raised whenever a score could come out differently. */
export const METRICS_VERSION = 'shallowdeep-1'

/** A number computed from the sum of the statistics of some segments. */
export interface StatisticsScore {
  /**
   * The score of segments whose statistics add up to `sums`.
   * @param sums element-wise sums of the segments' statistics; not changed
   * @param numSegments how many segments were added, at least 1
   */
  aggregate(sums: ArrayLike<number>, numSegments: number): number
}

/** A corpus metric over texts, higher is better. Scores are on a scale of 0 to 100. */
export interface Metric extends StatisticsScore {
  /** For tables and JSON keys: `bleu`, `chrf`, `chrf++`, `rouge1`, `rougeLsum`, `exactMatch`, `f1`, ... */
  readonly name: string
  /** The settings, `key:value` joined by `|`, without the number of references ({@link describeMetric} adds it). */
  readonly signature: string
  /**
   * Sufficient statistics of one segment; all segments of a metric give equally many numbers.
   * Throws `metrics.no-references` for an empty list of references.
   */
  statistics(hypothesis: string, references: readonly string[]): number[]
  /**
   * The corpus score of hypothesis i against all of references[i], whose number may vary.
   * Throws `metrics.no-segments`, `metrics.length-mismatch`, `metrics.no-references`.
   */
  score(hypotheses: readonly string[], references: readonly (readonly string[])[]): number
}

/** What a metric's own file supplies; {@link defineMetric} adds the checks and the corpus score. */
export interface MetricDefinition extends StatisticsScore {
  readonly name: string
  /** Settings in the order in which the signature shows them, without `nrefs` and `version`. */
  readonly settings: Readonly<Record<string, string | number>>
  statistics(hypothesis: string, references: readonly string[]): number[]
}

/** Makes a metric from its parts: checked inputs, a signature, and the corpus score. */
export function defineMetric(definition: MetricDefinition): Metric {
  const settings = Object.entries({ ...definition.settings, version: METRICS_VERSION })
  const metric: Metric = {
    name: definition.name,
    signature: settings.map(([key, value]) => `${key}:${value}`).join('|'),
    statistics(hypothesis, references) {
      if (references.length === 0) throw missingReferences('the segment')
      return definition.statistics(hypothesis, references)
    },
    aggregate: (sums, numSegments) => definition.aggregate(sums, numSegments),
    score(hypotheses, references) {
      const rows = segmentStatistics(metric, hypotheses, references)
      return metric.aggregate(sumStatistics(rows), rows.length)
    },
  }
  return metric
}

/**
 * The statistics of each segment, to be summed or resampled (see `bootstrap.ts`).
 * Throws `metrics.no-segments`, `metrics.length-mismatch`, `metrics.no-references`.
 */
export function segmentStatistics(
  metric: Metric,
  hypotheses: readonly string[],
  references: readonly (readonly string[])[],
): number[][] {
  requireEqualLengths({ hypotheses, references })
  if (hypotheses.length === 0) {
    throw new ShallowDeepError({
      code: 'metrics.no-segments',
      message: `${metric.name} needs at least one segment, got none`,
    })
  }
  return hypotheses.map((hypothesis, i) => {
    if (references[i].length === 0) throw missingReferences(`segment ${i + 1} of ${hypotheses.length}`, i)
    return metric.statistics(hypothesis, references[i])
  })
}

/** Element-wise sum of equally long rows. */
export function sumStatistics(rows: readonly (readonly number[])[]): number[] {
  const sums = new Array<number>(rows[0]?.length ?? 0).fill(0)
  for (const row of rows) for (let k = 0; k < sums.length; k++) sums[k] += row[k]
  return sums
}

/**
 * The full signature of a metric over these references, as sacreBLEU writes it: `nrefs:1|case:mixed|...`, where
 * `nrefs` is the number of references of each segment, or `var` where segments differ.
 */
export function describeMetric(metric: Metric, references: readonly (readonly string[])[]): string {
  const counts = new Set(references.map((list) => list.length))
  const numReferences = counts.size === 1 ? [...counts][0] : 'var'
  return `nrefs:${numReferences}|${metric.signature}`
}

/** Throws `metrics.length-mismatch` unless the two named lists are equally long. */
export function requireEqualLengths(lists: Readonly<Record<string, ArrayLike<unknown>>>): void {
  const [[nameA, a], [nameB, b]] = Object.entries(lists)
  if (a.length === b.length) return
  throw new ShallowDeepError({
    code: 'metrics.length-mismatch',
    message: `${nameA} and ${nameB} must be equally many, got ${a.length} and ${b.length}`,
    details: { [nameA]: a.length, [nameB]: b.length },
  })
}

function missingReferences(where: string, segment?: number): ShallowDeepError {
  return new ShallowDeepError({
    code: 'metrics.no-references',
    message: `${where} has no references, expected at least one (an empty text counts as one)`,
    hint: 'Drop segments without references, or give an empty text where nothing is the right answer.',
    details: segment === undefined ? {} : { segment },
  })
}
