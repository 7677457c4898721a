// What a cell comes to: quantiles over its batches, its ratio to full decoding round by round, and its distance to the least
// time that the memory bandwidth allows.
import type { EngineInfo } from '../../src/decoding/index.js'
import { boundAtExits, decodingBound, quantile, type DecodingSetting } from '../../src/evaluation/index.js'
import type { TimedBatch } from './measureGrid.js'
import type { CellSpec, EngineTarget } from './plan.js'

/** A ratio over rounds. */
export interface RoundRatio {
  /** The median, the smallest and the largest. */
  readonly p50: number
  readonly low: number
  readonly high: number
}

/** One row of the result; times in ms, per token where they say so. */
export interface CellResult {
  /** A shape's name, or `checkpoint`. */
  readonly model: string
  readonly engine: EngineTarget
  readonly dtype: EngineInfo['dtype']
  readonly threads: number
  readonly policy: CellSpec['policy']
  /** As asked for, see {@link CellSpec}. */
  readonly exits: CellSpec['exits']
  readonly batchSize: number
  readonly rounds: number
  readonly tokens: number
  readonly encoderMsP50: number
  readonly firstTokenMsP50: number
  /** Decoding time over tokens of all rows, quantiles over batches. */
  readonly msPerTokenP50: number
  readonly msPerTokenP95: number
  readonly cpuMsPerToken: number
  readonly tokensPerSecond: number
  /** How far opening the engine and decoding with it raised the memory of the process at most; of the engine, not the cell. */
  readonly peakMegabytes: number
  /** Share of tokens that left shallow, in [0, 1]. */
  readonly shallowShare: number
  readonly flushes: number
  /** Null without flushes. */
  readonly meanFlushSize: number | null
  readonly retracted: number
  /** Full decoding's ms per token over this one's, with the same engine and batch size in the same round. */
  readonly speedup: RoundRatio
  /** Least ms per token by the memory bandwidth; null for several rows that leave at different times. */
  readonly boundMsPerToken: number | null
  /** The median over that bound; null where there is none. */
  readonly distanceToBound: number | null
  /** Full decoding's bound over this one's; null where there is none. */
  readonly boundSpeedup: number | null
}

/** What a cell is summarised from. */
export interface MeasuredCell {
  readonly spec: CellSpec
  readonly batches: readonly TimedBatch[]
  /** Of full decoding, the same rounds. */
  readonly full: readonly TimedBatch[]
  /** What is the same for all cells of an engine. */
  readonly of: Pick<CellResult, 'model' | 'engine' | 'dtype' | 'threads' | 'peakMegabytes'>
  /** Of the bound; the number of tokens is taken from the batches. */
  readonly setting: Omit<DecodingSetting, 'numTokens'>
  /** How often a replayed draft stands, in [0, 1]; 1 of a model's own exits, whose bound is then that of the best case. */
  readonly agreement: number
}

/** Summarises a cell of at least one batch. */
export function cellResult({ spec, batches, full, of, setting, agreement }: MeasuredCell): CellResult {
  const results = batches.flatMap((batch) => batch.results)
  const tokens = sum(results.map((result) => result.tokens.length))
  const flushes = results.flatMap((result) => result.flushes)
  const shallow = results.flatMap(({ exits }) => exits.filter((exit) => exit === 'shallow'))
  const shallowShare = shallow.length / tokens
  const perToken = batches.map(msPerToken)
  const ratios = full.map((batch, round) => msPerToken(batch) / perToken[round])
  const numTokens = tokens / results.length
  const retracted = sum(results.map((result) => result.retracted))
  // Drafts that were taken back had left too.
  const exitShare = retracted > 0 && typeof spec.exits === 'number' ? spec.exits : shallowShare
  // The profit rule may have decoded all of it as full.
  const isFull = results.every(({ threshold }) => threshold === null) && spec.policy !== 'static'
  const bounded = isFull ? { ...spec, policy: 'full' as const } : spec
  const bound = boundOf(bounded, { ...setting, numTokens }, { exitShare, agreement })
  const fullBound = decodingBound({ ...setting, numTokens }, spec.batchSize).fullMs
  const msPerTokenP50 = quantile(perToken, 0.5)
  return {
    ...of,
    ...spec,
    rounds: batches.length,
    tokens,
    encoderMsP50: quantile(
      batches.map(({ encoderMs }) => encoderMs),
      0.5,
    ),
    firstTokenMsP50: quantile(
      batches.map(({ firstTokenMs }) => firstTokenMs),
      0.5,
    ),
    msPerTokenP50,
    msPerTokenP95: quantile(perToken, 0.95),
    cpuMsPerToken: sum(batches.map(({ cpuMs }) => cpuMs)) / tokens,
    tokensPerSecond: (1000 * tokens) / sum(batches.map(({ decodingMs }) => decodingMs)),
    shallowShare,
    flushes: flushes.length,
    meanFlushSize: flushes.length > 0 ? sum(flushes) / flushes.length : null,
    retracted,
    speedup: { p50: quantile(ratios, 0.5), low: Math.min(...ratios), high: Math.max(...ratios) },
    boundMsPerToken: bound,
    distanceToBound: bound === null ? null : msPerTokenP50 / bound,
    boundSpeedup: bound === null ? null : fullBound / bound,
  }
}

/** As if tokens left, and drafts stood, each for itself. */
function boundOf(
  { policy, batchSize }: CellSpec,
  setting: DecodingSetting,
  { exitShare, agreement }: { readonly exitShare: number; readonly agreement: number },
): number | null {
  if (policy === 'full') return decodingBound(setting, batchSize).fullMs
  if (policy === 'static') return decodingBound(setting, batchSize).staticMs
  if (batchSize > 1) return null
  return boundAtExits(setting, policy === 'lossless' ? { exitShare, agreement } : { exitShare })
}

/** Decoding time over tokens of all rows. */
function msPerToken({ results, decodingMs }: TimedBatch): number {
  return decodingMs / sum(results.map(({ tokens }) => tokens.length))
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0)
}
