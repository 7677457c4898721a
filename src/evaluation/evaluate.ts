// Measures policies over a data set: one policy (with `full` beside it as a baseline), or a sweep over thresholds.
import { betaMixture, type Calibrator } from '../calibration/index.js'
import type { LoopOptionsInput } from '../config/index.js'
import type { Prediction } from '../data/index.js'
import {
  free,
  full,
  lossless,
  staticExit,
  type DecoderEngine,
  type Policy,
  type Selection,
} from '../decoding/index.js'
import type { Metric } from '../metrics/index.js'
import { areaUnderCurves } from './area.js'
import type { ProfitRule } from './profitRule.js'
import { measure, type MeasuredSetting, type Measurement, type MeasureOptions } from './measure.js'
import type { AblationResult, EvaluatedOutput, EvaluationResult } from './results.js'
import { summarise, type SummaryContext } from './summarise.js'

/** An example ready to be decoded and scored. */
export interface EvaluationExample {
  /** Token ids with the end of sequence. */
  readonly source: ArrayLike<number>
  readonly sourceText: string
  readonly references: readonly string[]
}

/** What every evaluation needs. */
export interface EvaluationOptions extends Pick<MeasureOptions, 'onExample' | 'signal' | 'now' | 'warmUp'> {
  readonly engine: DecoderEngine
  readonly examples: readonly EvaluationExample[]
  /** At least one; the first decides what "quality" means in a sweep. */
  readonly metrics: readonly Metric[]
  /** Text of token ids, special ones left out. */
  readonly toText: (tokens: readonly number[]) => string
  readonly loop?: LoopOptionsInput
  /** Outputs to keep token by token in the rows that show them, for reports. Neutral: 0. */
  readonly numOutputs?: number
}

/** Evaluates one policy; `baseline`: measures `full` in the same pass and fills the speed-ups. */
export async function evaluate(
  options: EvaluationOptions & {
    readonly createPolicy: () => Policy
    readonly baseline: boolean
    /** How tokens are taken, of the baseline too. Neutral: greedily. */
    readonly selection?: Selection
    /** Decides for each sequence between the policy and full decoding. Neutral: undefined, always the policy. */
    readonly profit?: ProfitRule
    /** Called once with what the policy answered to each example, its tokens and times. Neutral: undefined. */
    readonly onPredictions?: (predictions: readonly Prediction[]) => void
  },
): Promise<EvaluationResult> {
  const { createPolicy, baseline, loop, selection, profit } = options
  const own: MeasuredSetting = { ...loop, selection, profit, name: createPolicy().name, createPolicy }
  const settings = baseline ? [{ ...fullSetting(loop), selection }, own] : [own]
  const measurements = await measureExamples(options, settings)
  const context = contextOf(options, baseline ? measurements[0] : undefined)
  const measurement = measurements[settings.length - 1]
  options.onPredictions?.(predictionsOf(measurement, options))
  return withOutputs(measurement, context, options)
}

/** Quality that counts as kept: this share of full's. */
export const KEPT_QUALITY = 0.99

export interface AblationOptions extends EvaluationOptions {
  /** Fixed thresholds, in the order of the rows. */
  readonly thresholds: readonly number[]
  /** Makes the adaptive row's calibrator. Neutral: a new Beta mixture. */
  readonly createCalibrator?: () => Calibrator
  /** Adds a `lossless` row at this threshold. Neutral: undefined, no such row. */
  readonly losslessThreshold?: number
}

/** Sweeps thresholds in one interleaved pass with one shared `full`. */
export async function ablateThresholds(options: AblationOptions): Promise<AblationResult> {
  const { thresholds, losslessThreshold, loop, createCalibrator = betaMixture } = options
  const setting = (name: string, createPolicy: () => Policy): MeasuredSetting => ({
    ...loop,
    name,
    createPolicy,
  })
  const settings = [
    fullSetting(loop),
    setting('static', () => staticExit()),
    ...thresholds.map((threshold) => setting(`free ${threshold}`, () => free(threshold))),
    setting('free adaptive', () => free(createCalibrator())),
    ...(losslessThreshold === undefined ? [] : [setting('lossless', () => lossless(losslessThreshold))]),
  ]
  const measurements = await measureExamples(options, settings)
  const context = contextOf(options, measurements[0])
  const rows = measurements.map((measurement) =>
    measurement.calibrator ? withOutputs(measurement, context, options) : summarise(measurement, context),
  )
  const fixed = rows.slice(2, 2 + thresholds.length)
  const adaptive = rows[2 + thresholds.length]
  return { rows, bestFixed: bestOf(fixed, rows[0]), adaptive, areaUnderCurve: areaUnderCurves(rows) }
}

/** The score that decides in a sweep: of the first metric. */
export function primaryScore(row: EvaluationResult): number {
  return Object.values(row.quality)[0].score
}

/** The fastest row whose quality is kept; null where none is. */
function bestOf(rows: readonly EvaluationResult[], full: EvaluationResult): EvaluationResult | null {
  const kept = rows.filter((row) => primaryScore(row) >= KEPT_QUALITY * primaryScore(full))
  return kept.reduce<EvaluationResult | null>(
    (best, row) => (best === null || row.speedup! > best.speedup! ? row : best),
    null,
  )
}

function fullSetting(loop: LoopOptionsInput | undefined): MeasuredSetting {
  return { ...loop, name: 'full', createPolicy: full }
}

function measureExamples(
  options: EvaluationOptions,
  settings: readonly MeasuredSetting[],
): Promise<Measurement[]> {
  const { engine, examples, onExample, signal, now, warmUp } = options
  return measure({
    engine,
    sources: examples.map(({ source }) => source),
    settings,
    onExample,
    signal,
    now,
    warmUp,
  })
}

function contextOf(options: EvaluationOptions, fullMeasurement: Measurement | undefined): SummaryContext {
  return {
    engine: options.engine,
    metrics: options.metrics,
    references: options.examples.map(({ references }) => references),
    toText: options.toText,
    full: fullMeasurement,
  }
}

function predictionsOf(
  { sequences }: Measurement,
  { toText }: Pick<EvaluationOptions, 'toText'>,
): Prediction[] {
  return sequences.map(({ result: { tokens }, decodingMs, encoderMs }) => ({
    text: toText(tokens),
    tokens,
    decodingMs,
    encoderMs,
  }))
}

function withOutputs(
  measurement: Measurement,
  context: SummaryContext,
  { examples, numOutputs = 0, toText }: EvaluationOptions,
): EvaluationResult {
  const row = summarise(measurement, context)
  if (numOutputs === 0) return row
  const outputs = measurement.sequences.slice(0, numOutputs).map(({ result }, i): EvaluatedOutput => {
    // A token's text is what it adds to the text before it: pieces alone do not show spaces and joined characters.
    const upTo = result.tokens.map((_, end) => toText(result.tokens.slice(0, end + 1)))
    return {
      source: examples[i].sourceText,
      references: examples[i].references,
      text: toText(result.tokens),
      threshold: result.threshold,
      tokens: result.tokens.map((_, at) => ({
        text: upTo[at].slice(at === 0 ? 0 : upTo[at - 1].length),
        exit: result.exits[at],
        exitLayer: result.exitLayers[at],
        confidence: result.confidences[at],
      })),
    }
  })
  return { ...row, outputs }
}
