// Decodes the same examples under several settings in one interleaved pass and times each: example by example, the
// settings in an order that rotates, so that what slows the machine for a while slows all of them.
import type { Calibrator } from '../calibration/index.js'
import {
  decode,
  policyCalibrator,
  type DecoderEngine,
  type DecodeOptions,
  type Policy,
  type RowResult,
} from '../decoding/index.js'
import { decodeByProfit, type ProfitDecision, type ProfitRule } from './profitRule.js'

/** One way to decode, to be measured. */
export interface MeasuredSetting extends Omit<
  DecodeOptions,
  'policy' | 'signal' | 'createTextStream' | 'thresholds' | 'firstOrdinal'
> {
  /** How the row is to be called and found again. */
  readonly name: string
  /** Makes the policy; a fresh one for the warm-up, so that a calibrator starts the measurement untouched. */
  readonly createPolicy: () => Policy
  /** Decides how each sequence is decoded; it learns from the warm-up too. Neutral: undefined, as the policy says. */
  readonly profit?: ProfitRule
}

/** One sequence as it was decoded and timed. */
export interface TimedSequence {
  readonly result: RowResult
  readonly encoderMs: number
  /** Everything after the encoder, up to the end of the sequence. */
  readonly decodingMs: number
  /** What a profit rule decided for it. */
  readonly decision?: ProfitDecision
}

/** All sequences of one setting, in the order of the examples. */
export interface Measurement {
  readonly setting: MeasuredSetting
  readonly sequences: readonly TimedSequence[]
  /** The setting's calibrator as it ended; undefined where it has none. */
  readonly calibrator: Calibrator | undefined
}

export interface MeasureOptions {
  readonly engine: DecoderEngine
  /** Token ids of each example's source, with the end of sequence. */
  readonly sources: readonly ArrayLike<number>[]
  readonly settings: readonly MeasuredSetting[]
  /** Examples decoded under every setting before the clock counts. Neutral: 0. */
  readonly warmUp?: number
  /** Milliseconds from any origin. Neutral: performance.now. */
  readonly now?: () => number
  /** Called after each example, with the number done. */
  readonly onExample?: (numDone: number, numExamples: number) => void
  readonly signal?: AbortSignal
}

/** Measures all settings; rejects with `signal.reason` when aborted, and throws what decoding throws. */
export async function measure(options: MeasureOptions): Promise<Measurement[]> {
  const { engine, sources, settings, warmUp = 3, now = () => performance.now(), onExample, signal } = options
  const run = (setting: MeasuredSetting, policy: Policy, index: number) => {
    const options = { ...loopOptions(setting), policy, firstOrdinal: index, signal }
    return timeSequence({ engine, source: sources[index], options, profit: setting.profit, now })
  }
  for (const setting of settings) {
    const policy = setting.createPolicy()
    for (const index of sources.slice(0, warmUp).keys()) await run(setting, policy, index)
  }
  const runs = settings.map((setting) => ({
    setting,
    policy: setting.createPolicy(),
    sequences: [] as TimedSequence[],
  }))
  for (const index of sources.keys()) {
    for (let turn = 0; turn < runs.length; turn++) {
      const { setting, policy, sequences } = runs[(index + turn) % runs.length]
      sequences.push(await run(setting, policy, index))
    }
    onExample?.(index + 1, sources.length)
  }
  return runs.map(({ setting, policy, sequences }) => ({
    setting,
    sequences,
    calibrator: policyCalibrator(policy),
  }))
}

function loopOptions({ name: _name, createPolicy: _create, profit: _profit, ...loop }: MeasuredSetting) {
  return loop
}

async function timeSequence(job: {
  readonly engine: DecoderEngine
  readonly source: ArrayLike<number>
  readonly options: DecodeOptions
  readonly profit: ProfitRule | undefined
  readonly now: () => number
}): Promise<TimedSequence> {
  const { engine, source, options, profit, now } = job
  const start = now()
  let encodedAt = start
  let result: RowResult | undefined
  const events = profit
    ? decodeByProfit(engine, [source], { ...options, profit })
    : decode(engine, [source], options)
  for await (const event of events) {
    if (event.type === 'encoded') encodedAt = now()
    else if (event.type === 'end') result = event.result
  }
  const timed = { result: result!, encoderMs: encodedAt - start, decodingMs: now() - encodedAt }
  return profit?.last ? { ...timed, decision: profit.last } : timed
}
