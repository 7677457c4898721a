// From timed sequences to the figures of one result row.
import { calibrate } from '../calibration/index.js'
import type { DecoderEngine } from '../decoding/index.js'
import type { Metric } from '../metrics/index.js'
import type { Measurement, TimedSequence } from './measure.js'
import type {
  EvaluationResult,
  EvidenceSummary,
  ExitsResult,
  LatencyResult,
  ProfitResult,
} from './results.js'
import { scoreTexts } from './score.js'

/** What stays the same for all rows of an evaluation. */
export interface SummaryContext {
  readonly engine: DecoderEngine
  readonly metrics: readonly Metric[]
  /** References of each example. */
  readonly references: readonly (readonly string[])[]
  /** Text of token ids, special ones left out. */
  readonly toText: (tokens: readonly number[]) => string
  /** The measurement of `full` over the same examples; undefined where there is none, which leaves speed-ups null. */
  readonly full?: Measurement
}

/** One result row. */
export function summarise(measurement: Measurement, context: SummaryContext): EvaluationResult {
  const { setting, sequences, calibrator } = measurement
  const { info } = context.engine
  const { policy, threshold } = describe(measurement)
  const texts = sequences.map(({ result }) => context.toText(result.tokens))
  const evidence = calibrator?.isAdaptive ? summariseEvidence(measurement, info.shallowLayers) : undefined
  return {
    policy,
    threshold,
    engine: info.engine,
    backend: info.backend,
    dtype: info.dtype,
    threads: info.threads,
    examples: sequences.length,
    tokens: numTokens(sequences),
    quality: scoreTexts(texts, context.references, { metrics: context.metrics }),
    latency: summariseLatency(sequences),
    exits: summariseExits(sequences, info),
    speedup: context.full ? msPerToken(context.full.sequences, false) / msPerToken(sequences, false) : null,
    speedupWithEncoder: context.full
      ? msPerToken(context.full.sequences, true) / msPerToken(sequences, true)
      : null,
    ...(policy === 'lossless' && info.isApproximate && { isApproximate: true }),
    ...profitOf(sequences),
    ...(setting.selection &&
      Object.keys(setting.selection.settings).length > 0 && { selection: setting.selection.settings }),
    label: setting.name,
    shallowLayers: info.shallowLayers,
    decoderLayers: info.decoderLayers,
    ...(calibrator && { thresholdAtEnd: calibrator.threshold }),
    ...(evidence && { evidence }),
  }
}

function describe({ setting, calibrator }: Measurement): Pick<EvaluationResult, 'policy' | 'threshold'> {
  const policy = setting.createPolicy()
  if (calibrator) return { policy: policy.name, threshold: calibrator.isAdaptive ? 'adaptive' : 'calibrated' }
  return { policy: policy.name, threshold: policy.threshold as number | null }
}

function numTokens(sequences: readonly TimedSequence[]): number {
  return sequences.reduce((sum, { result }) => sum + result.tokens.length, 0)
}

/** Total time over total tokens. */
function msPerToken(sequences: readonly TimedSequence[], isWithEncoder: boolean): number {
  const ms = sequences.reduce(
    (sum, { decodingMs, encoderMs }) => sum + decodingMs + (isWithEncoder ? encoderMs : 0),
    0,
  )
  return ms / numTokens(sequences)
}

function summariseLatency(sequences: readonly TimedSequence[]): LatencyResult {
  const perToken = sequences.map(({ decodingMs, result }) => decodingMs / result.tokens.length)
  const mean = msPerToken(sequences, false)
  return {
    msPerTokenP50: quantile(perToken, 0.5),
    msPerTokenP95: quantile(perToken, 0.95),
    msPerTokenMean: mean,
    tokensPerSecond: 1000 / mean,
    encoderMsP50: quantile(
      sequences.map(({ encoderMs }) => encoderMs),
      0.5,
    ),
  }
}

/** Quantile with linear interpolation (NumPy's default). */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const at = q * (sorted.length - 1)
  const below = Math.floor(at)
  const above = Math.min(below + 1, sorted.length - 1)
  return sorted[below] + (at - below) * (sorted[above] - sorted[below])
}

function summariseExits(sequences: readonly TimedSequence[], info: DecoderEngine['info']): ExitsResult {
  const results = sequences.map(({ result }) => result)
  const tokens = numTokens(sequences)
  const depths = results.flatMap(({ exitLayers }) => exitLayers)
  const flushes = results.flatMap((result) => result.flushes)
  const evidence = results.flatMap((result) => result.evidence)
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0)
  return {
    shallowShare: depths.filter((layer) => layer < info.decoderLayers).length / tokens,
    meanDepth: sum(depths) / tokens,
    layerPasses: sum(results.map(({ layerPasses }) => layerPasses)) / (info.decoderLayers * tokens),
    agreement: evidence.length > 0 ? evidence.filter(({ agree }) => agree).length / evidence.length : null,
    flushes: flushes.length,
    meanFlushSize: flushes.length > 0 ? sum(flushes) / flushes.length : null,
  }
}

/** What a profit rule decided, where there was one. */
function profitOf(sequences: readonly TimedSequence[]): { readonly profit?: ProfitResult } {
  const decisions = sequences.flatMap(({ decision }) => decision ?? [])
  const last = decisions.at(-1)
  if (last === undefined) return {}
  return {
    profit: {
      full: decisions.filter(({ isFull }) => isFull).length,
      early: decisions.filter(({ isFull }) => !isFull).length,
      trials: decisions.filter(({ reason }) => reason === 'trial').length,
      last: {
        isFull: last.isFull,
        maxPending: last.isFull ? null : last.maxPending,
        msPerToken: last.msPerToken,
        fullMsPerToken: last.fullMsPerToken,
        exitShare: last.exitShare,
      },
    },
  }
}

/** All evidence of the run, fitted once as `calibrate` would, beside the threshold at which the run itself ended. */
function summariseEvidence({ sequences, calibrator }: Measurement, shallowLayers: number): EvidenceSummary {
  const evidence = sequences.flatMap(({ result }) => result.evidence)
  const { threshold } = calibrator!
  return { ...calibrate(evidence, { shallowLayers, calibrator: calibrator!.name }), threshold }
}
