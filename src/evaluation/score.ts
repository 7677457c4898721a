// Scores of texts by several metrics, with their confidence intervals and signatures: the `quality` of a result.
import {
  bootstrapInterval,
  describeMetric,
  segmentStatistics,
  type BootstrapOptions,
  type Metric,
} from '../metrics/index.js'
import type { QualityScore } from './results.js'

/**
 * Scores texts against their references, text i against all of references[i]; by name of the metric, in the order given.
 * Intervals are percentile bootstrap intervals over the examples; a single example has none.
 * Throws `metrics.no-segments`, `metrics.length-mismatch`, `metrics.no-references` and `metrics.bad-option`.
 */
export function scoreTexts(
  texts: readonly string[],
  references: readonly (readonly string[])[],
  options: { readonly metrics: readonly Metric[]; readonly bootstrap?: BootstrapOptions },
): Record<string, QualityScore> {
  const { metrics, bootstrap } = options
  return Object.fromEntries(
    metrics.map((metric): [string, QualityScore] => {
      const signature = describeMetric(metric, references)
      const statistics = segmentStatistics(metric, texts, references)
      if (texts.length === 1) {
        return [metric.name, { score: metric.aggregate(statistics[0], 1), low: null, high: null, signature }]
      }
      const { score, low, high } = bootstrapInterval(metric, statistics, bootstrap)
      return [metric.name, { score, low, high, signature }]
    }),
  )
}
