// The one decoding loop. Every policy and every selection runs through it: each step puts in the newest token of each
// hypothesis, runs the segments one after the other until the policy lets the position leave, and otherwise flushes the
// stack through the last one; then the sequences take their tokens from what the exits said.
import { loopOptionsSchema, parseConfig } from '../config/index.js'
import type { LoopOptions, LoopOptionsInput } from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import { confidenceMeasure, type ConfidenceMeasure } from './confidence.js'
import { forbiddenTokens } from './constraints.js'
import type {
  DecoderEngine,
  DecoderSession,
  EngineInfo,
  ExitFeature,
  RunOptions,
  SessionOptions,
} from './engine.js'
import type { DecodeEvent, TextStream } from './events.js'
import { policyCalibrator, type Policy } from './policies/index.js'
import { greedy, type Selection } from './selection/index.js'
import type { Sequence } from './sequence.js'
import type { Phase, RowState } from './state.js'

/** How to decode. */
export interface DecodeOptions extends LoopOptionsInput {
  readonly policy: Policy
  /** How tokens are taken from the exits' distributions. Neutral: greedily. */
  readonly selection?: Selection
  /** Number of the first source among all that are decoded, for what is drawn at random. Neutral: 0. */
  readonly firstOrdinal?: number
  /** A threshold for each row in place of the policy's, where it has one; neutral: undefined. */
  readonly thresholds?: readonly number[]
  /** Makes a row's text stream; neutral: undefined, which leaves all text ''. */
  readonly createTextStream?: (row: number) => TextStream
  readonly signal?: AbortSignal
}

/** What stays the same for all rows and steps. */
interface Plan extends LoopOptions {
  readonly policy: Policy
  readonly info: EngineInfo
  readonly exits: readonly number[]
  readonly measure: ConfidenceMeasure['measure']
  /** What exits before the last are asked for; undefined where they are passed by. */
  readonly earlyNeeds: readonly ExitFeature[] | undefined
  readonly deepNeeds: readonly ExitFeature[]
  readonly signal: AbortSignal | undefined
}

/**
 * Decodes sources (token ids, end of sequence included, no padding) as rows of one batch. Yields `encoded` first; then
 * `token`, `commit` and, once a row, `end` events. A calibrator's threshold is read once, as the rows start; it is given
 * their evidence, row by row, when the last one has ended (before that row's `end` event).
 * When the caller stops early, or it throws or is aborted (then with `signal.reason`), everything is freed and the
 * calibrator is left as it was. Reads no clock.
 * Throws `config.*` for bad options, `decoding.thresholds`, `decoding.exit-layer`, what the selection throws where the
 * policy does not suit it, and what the engine throws.
 */
export async function* decode(
  engine: DecoderEngine,
  sources: readonly ArrayLike<number>[],
  options: DecodeOptions,
): AsyncGenerator<DecodeEvent, void, void> {
  const { policy, selection = greedy(), firstOrdinal = 0, thresholds, createTextStream, ...rest } = options
  const { signal, ...loop } = rest
  const { info } = engine
  const loopOptions = parseConfig(loopOptionsSchema, loop, 'decoding options')
  selection.check(policy, loopOptions)
  const { needs, measure } = confidenceMeasure(loopOptions.confidence, info)
  const plan: Plan = {
    ...loopOptions,
    policy,
    info,
    exits: policy.exits(info),
    measure,
    earlyNeeds: policy.isEarly ? [...needs, ...selection.needs] : undefined,
    deepNeeds: [...selection.needs, ...(policy.verify?.needs ?? [])],
    signal,
  }
  const sequences = thresholdsOf(policy, thresholds, sources.length).map((threshold, index) =>
    selection.start({
      settings: {
        index,
        threshold,
        maxNewTokens: plan.maxNewTokens,
        gathersEvidence: gathersEvidence(plan, index),
        flushesAtEnd: flushesAtEnd(plan, index),
        info,
      },
      policy,
      ordinal: firstOrdinal + index,
      stream: createTextStream?.(index),
    }),
  )
  signal?.throwIfAborted()
  const encoded = await engine.encode(sources, { signal })
  try {
    yield { type: 'encoded', numRows: sources.length }
    const session = encoded.open({
      exits: plan.exits,
      rowsPerSource: selection.width,
      numCandidates: selection.numCandidates,
      forbidden: forbiddenIn(sequences, { plan, width: selection.width }),
    })
    try {
      yield* decodeSequences(session, sequences, plan)
    } finally {
      session.dispose()
    }
  } finally {
    encoded.dispose()
  }
}

/** Whether flushes ask the deep exit for every position, and so give evidence; always where they verify. */
function gathersEvidence(plan: Plan, index: number): boolean {
  const isWanted = policyCalibrator(plan.policy)?.wantsEvidence(index) ?? false
  return plan.evidence || isWanted || flushesAtEnd(plan, index)
}

/** What is provisional must be verified; and a calibrator must not miss the positions that end on the stack. */
function flushesAtEnd({ policy, flushAtEnd }: Plan, index: number): boolean {
  return (
    policy.verify !== undefined || (flushAtEnd ?? policyCalibrator(policy)?.wantsEvidence(index) ?? false)
  )
}

/** What the engine asks of the rows' texts so far. */
function forbiddenIn(
  sequences: readonly Sequence[],
  { plan, width }: { readonly plan: Plan; readonly width: number },
): SessionOptions['forbidden'] {
  const forbidden = forbiddenTokens(plan, plan.info)
  if (!forbidden) return undefined
  return (row, position) => {
    const { hypotheses } = sequences[Math.floor(row / width)]
    return forbidden(hypotheses.find(({ slot }) => slot === row)!.tokensBefore(position))
  }
}

async function* decodeSequences(
  session: DecoderSession,
  sequences: readonly Sequence[],
  plan: Plan,
): AsyncGenerator<DecodeEvent, void, void> {
  const learnsFrom = sequences.filter(({ index }) => isWhole(index, plan))
  let active = sequences
  while (active.length > 0) {
    if (plan.signal) await giveTurn()
    const [open, closing] = [hypothesesOf(active, 'open'), hypothesesOf(active, 'closing')]
    await step(session, open, plan)
    await flush(session, closing, plan)
    const events = active.flatMap((sequence) => sequence.advance(session))
    const ended = active.filter(({ phase }) => phase === 'ended')
    active = active.filter(({ phase }) => phase !== 'ended')
    if (active.length === 0) {
      const calibrator = policyCalibrator(plan.policy)
      for (const sequence of sequences) {
        calibrator?.observe(learnsFrom.includes(sequence) ? sequence.observed : [])
      }
    }
    yield* events
    for (const sequence of ended) yield { type: 'end', row: sequence.index, result: sequence.result() }
  }
}

/** Whether a row's evidence may move a threshold: not where a calibrator chose to go without its last positions. */
function isWhole(index: number, plan: Plan): boolean {
  const { policy, flushAtEnd } = plan
  return flushesAtEnd(plan, index) || flushAtEnd === false || !policyCalibrator(policy)?.isAdaptive
}

/** One position further for each hypothesis. */
async function step(session: DecoderSession, states: readonly RowState[], plan: Plan): Promise<void> {
  const { exits, info, signal, earlyNeeds, measure } = plan
  for (const state of states) session.push(state.slot, state.begin())
  let going = states
  for (let segment = 0; segment < exits.length - 1 && going.length > 0; segment++) {
    const nearEnough = new Map(
      going.filter((state) => isNearEnough(state, plan)).map((state) => [state.slot, state]),
    )
    const settles: RunOptions['settles'] = (row, low, high) => {
      const state = nearEnough.get(row)
      if (!state) return false
      const [least, most] = [low, high].map((choice) => verdict(state, measure(choice, info.vocabSize), plan))
      return least === most
    }
    const choices = await session.run({
      segment,
      rows: slotsOf(going),
      exit: earlyNeeds,
      settles: nearEnough.size > 0 ? settles : undefined,
      newestOnly: true,
      signal,
    })
    going = going.filter((state, i) => {
      state.passed(layersOf(segment, exits))
      if (!earlyNeeds) return true
      const choice = choices[i][choices[i].length - 1]
      const confidence = measure(choice, info.vocabSize)
      state.see(choice, confidence)
      const found = verdict(state, confidence, plan)
      if (found === 'leaves') state.leave(exits[segment])
      else if (found === 'forced') state.force()
      return found !== 'leaves'
    })
  }
  await flush(session, going, plan)
}

/**
 * Whether a row's early confidences may be near the exact ones where they lead to the same exits: what a calibrator learns
 * from is exact.
 */
function isNearEnough({ settings }: RowState, plan: Plan): boolean {
  const { index, gathersEvidence } = settings
  const isAdaptive = policyCalibrator(plan.policy)?.isAdaptive ?? false
  return !plan.exactConfidence && !(isAdaptive && gathersEvidence && isWhole(index, plan))
}

/** What becomes of a row's newest position at an exit; `forced`: it would leave, but the stack is full. */
function verdict(state: RowState, confidence: number, plan: Plan): 'leaves' | 'forced' | 'goes on' {
  const { policy, maxPending } = plan
  // Policies without a threshold leave by other rules; 1 lets no confidence pass.
  const threshold = state.settings.threshold ?? 1
  const isStackFull = maxPending !== null && state.numPending >= maxPending
  if (policy.leaves({ confidence, threshold, isStackFull })) return 'leaves'
  return isStackFull && confidence > threshold ? 'forced' : 'goes on'
}

/** Runs the last segment over everything that waits for it, and settles what the policy makes of it. */
async function flush(session: DecoderSession, states: readonly RowState[], plan: Plan): Promise<void> {
  if (states.length === 0) return
  const segment = plan.exits.length - 1
  const choices = await session.run({
    segment,
    rows: slotsOf(states),
    exit: plan.deepNeeds,
    newestOnly: !states.some(({ settings }) => settings.gathersEvidence),
    signal: plan.signal,
  })
  for (const [i, state] of states.entries()) {
    state.passed(layersOf(segment, plan.exits))
    const numStanding = state.settle(choices[i])
    if (numStanding !== null) session.truncate(state.slot, numStanding)
  }
}

function hypothesesOf(sequences: readonly Sequence[], phase: Phase): readonly RowState[] {
  return sequences.flatMap((sequence) => (sequence.phase === phase ? sequence.hypotheses : []))
}

function slotsOf(states: readonly RowState[]): number[] {
  return states.map(({ slot }) => slot)
}

function layersOf(segment: number, exits: readonly number[]): number {
  return exits[segment] - (segment === 0 ? 0 : exits[segment - 1])
}

/** The rows' thresholds, as they are at this moment. */
function thresholdsOf(
  policy: Policy,
  thresholds: readonly number[] | undefined,
  numRows: number,
): readonly (number | null)[] {
  const common = policyCalibrator(policy)?.threshold ?? (policy.threshold as number | null)
  const all = common === null ? undefined : thresholds
  const perRow = all ?? Array.from({ length: numRows }, () => common)
  const isInRange = (x: number | null) => x === null || (x >= 0 && x <= 1)
  if (perRow.length === numRows && perRow.every(isInRange)) return perRow
  throw new ShallowDeepError({
    code: 'decoding.thresholds',
    message: `thresholds: expected ${numRows} numbers from 0 to 1, one a row, got [${perRow.join(', ')}]`,
    details: { thresholds: perRow, numRows },
  })
}

/**
 * Lets timers and signals run: an engine that computes synchronously never gives the event loop a turn of its own, and
 * an abort could not arrive.
 */
function giveTurn(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (run: () => void) => void }
  return new Promise((resolve) => {
    if (setImmediate) return setImmediate(resolve)
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(null)
  })
}
