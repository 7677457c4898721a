// From files to scores: predictions of any system against the references of a data file.
import type { ReadReport } from '../data/index.js'
import { readAllExamples, readPredictions, type ReadOptions } from '../data/index.node.js'
import { ShallowDeepError } from '../errors.js'
import { scoreTexts, type QualityScore } from '../evaluation/index.js'
import type { BootstrapOptions, Metric } from '../metrics/index.js'

export interface ScorePredictionsOptions extends ReadOptions {
  /** The data file that holds the references. */
  readonly data: string
  /** The file of predictions, in the order of the data; see `readPredictions` for its form. */
  readonly predictions: string
  readonly metrics: readonly Metric[]
  readonly bootstrap?: BootstrapOptions
}

/** Scores of a file of predictions. */
export interface PredictionScores {
  readonly examples: number
  /** By name of the metric, in the order asked for; as `evaluate` has it. */
  readonly quality: Readonly<Record<string, QualityScore>>
  /** How reading the data went. */
  readonly report: ReadReport
}

/**
 * Scores predictions. With a `limit`, that many of both files count. Throws what reading either file throws, and
 * `data.prediction-count` where there is not one prediction an example.
 */
export async function scorePredictions(options: ScorePredictionsOptions): Promise<PredictionScores> {
  const { data, predictions: path, limit, metrics, bootstrap } = options
  const { examples, report } = await readAllExamples(data, options)
  const predictions = (await readPredictions(path)).slice(0, limit)
  requireOneEach(predictions, examples, { path, data, numSkipped: report.numSkipped })
  const quality = scoreTexts(
    predictions.map(({ text }) => text),
    examples.map(({ targets }) => targets),
    { metrics, bootstrap },
  )
  return { examples: examples.length, quality, report }
}

/** Throws `data.prediction-count` unless there are as many predictions as examples. */
export function requireOneEach(
  predictions: readonly unknown[],
  examples: readonly unknown[],
  from: { readonly path: string; readonly data: string; readonly numSkipped: number },
): void {
  const [got, expected] = [predictions.length, examples.length]
  if (got === expected) return
  const { path, data, numSkipped } = from
  const left = numSkipped > 0 ? ` (${numSkipped} of its rows were left out)` : ''
  throw new ShallowDeepError({
    code: 'data.prediction-count',
    message: `${path} has ${got} predictions, ${data} has ${expected} examples${left}; expected one prediction an example`,
    hint: 'one line a prediction, in the order of the data; an empty line is an empty prediction',
    details: { predictions: got, examples: expected, numSkipped },
  })
}
