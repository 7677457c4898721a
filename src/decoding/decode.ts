// The one decoding loop. Every policy runs through it: each step puts in the newest token of each row, runs the segments
// one after the other until the policy lets the position leave, and otherwise flushes the stack through the last one.
import { loopOptionsSchema, parseConfig } from '../config/index.js'
import type { LoopOptions, LoopOptionsInput } from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import { confidenceMeasure } from './confidence.js'
import type { DecoderEngine, DecoderSession, EngineInfo } from './engine.js'
import type { CommitEvent, DecodeEvent, TextStream, TokenEvent } from './events.js'
import { policyCalibrator, type Policy } from './policies/index.js'
import { exitKind, RowState } from './state.js'
import type { Emission } from './state.js'

/** How to decode. */
export interface DecodeOptions extends LoopOptionsInput {
  readonly policy: Policy
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
  readonly signal: AbortSignal | undefined
}

interface Row {
  readonly state: RowState
  /** Undefined without one, and once it has ended. */
  stream: TextStream | undefined
  text: string
  numCommitted: number
}

/**
 * Decodes sources (token ids, end of sequence included, no padding), greedily, as rows of one batch. Yields `encoded`
 * first; then `token`, `commit` and, once a row, `end` events. A calibrator's threshold is read once, as the rows start;
 * it is given their evidence, row by row, when the last one has ended (before that row's `end` event).
 * When the caller stops early, or it throws or is aborted (then with `signal.reason`), everything is freed and the
 * calibrator is left as it was. Reads no clock.
 * Throws `config.*` for bad options, `decoding.thresholds`, `decoding.exit-layer`, and what the engine throws.
 */
export async function* decode(
  engine: DecoderEngine,
  sources: readonly ArrayLike<number>[],
  options: DecodeOptions,
): AsyncGenerator<DecodeEvent, void, void> {
  const { policy, thresholds, createTextStream, signal, ...loop } = options
  const { info } = engine
  const plan: Plan = {
    ...parseConfig(loopOptionsSchema, loop, 'decoding options'),
    policy,
    info,
    exits: policy.exits(info),
    signal,
  }
  const rows = thresholdsOf(policy, thresholds, sources.length).map((threshold, row) =>
    startRow(plan, { row, threshold, stream: createTextStream?.(row) }),
  )
  signal?.throwIfAborted()
  const encoded = await engine.encode(sources, { signal })
  try {
    yield { type: 'encoded', numRows: sources.length }
    const session = encoded.open({
      exits: plan.exits,
      forbidden:
        plan.minNewTokens > 0
          ? (_row, position) => (position < plan.minNewTokens ? [info.eosId] : [])
          : undefined,
    })
    try {
      yield* decodeRows(session, rows, plan)
    } finally {
      session.dispose()
    }
  } finally {
    encoded.dispose()
  }
}

function startRow(
  plan: Plan,
  start: {
    readonly row: number
    readonly threshold: number | null
    readonly stream: TextStream | undefined
  },
): Row {
  const { policy, flushAtEnd, maxNewTokens, info } = plan
  const { row: index, threshold, stream } = start
  // What is provisional must be verified; and a calibrator must not miss the positions that end on the stack.
  const flushesAtEnd =
    policy.verify !== undefined || (flushAtEnd ?? policyCalibrator(policy)?.wantsEvidence(index) ?? false)
  const state = new RowState({ index, threshold, maxNewTokens, flushesAtEnd, info })
  return { state, stream, text: '', numCommitted: 0 }
}

async function* decodeRows(
  session: DecoderSession,
  rows: readonly Row[],
  plan: Plan,
): AsyncGenerator<DecodeEvent, void, void> {
  let active = rows
  while (active.length > 0) {
    if (plan.signal) await giveTurn()
    const events = [
      ...(await step(session, inPhase(active, 'open'), plan)),
      ...(await flush(session, inPhase(active, 'closing'), plan)),
    ]
    const ended = inPhase(active, 'ended')
    active = active.filter((row) => !ended.includes(row))
    if (active.length === 0) {
      const calibrator = policyCalibrator(plan.policy)
      for (const { state } of rows) calibrator?.observe(isWhole(state, plan) ? state.observed : [])
    }
    yield* events
    for (const { state, text } of ended) yield { type: 'end', row: state.index, result: state.result(text) }
  }
}

/** Whether a row's evidence may move a threshold: not where a calibrator chose to go without its last positions. */
function isWhole({ settings }: RowState, { policy, flushAtEnd }: Plan): boolean {
  return settings.flushesAtEnd || flushAtEnd === false || !policyCalibrator(policy)?.isAdaptive
}

/** One token further for each row, except where a flush takes some back. */
async function step(session: DecoderSession, rows: readonly Row[], plan: Plan): Promise<DecodeEvent[]> {
  const { policy, exits, info, signal, maxPending } = plan
  const { needs, measure } = confidenceMeasure(plan.confidence)
  const events: DecodeEvent[] = []
  for (const { state } of rows) session.push(state.index, state.begin())
  let going = rows
  for (let segment = 0; segment < exits.length - 1 && going.length > 0; segment++) {
    const choices = await session.run({
      segment,
      rows: going.map(({ state }) => state.index),
      exit: policy.isEarly ? needs : undefined,
      signal,
    })
    const deeper: Row[] = []
    for (const [i, row] of going.entries()) {
      const { state } = row
      state.passed(layersOf(segment, exits))
      if (!policy.isEarly) {
        deeper.push(row)
        continue
      }
      const choice = choices[i][choices[i].length - 1]
      const confidence = measure(choice, info.vocabSize)
      state.see(choice.token, confidence)
      // Policies without a threshold leave by other rules; 1 lets no confidence pass.
      const threshold = state.settings.threshold ?? 1
      const isStackFull = maxPending !== null && state.numPending >= maxPending
      if (policy.leaves({ confidence, threshold, isStackFull })) {
        events.push(...emissionEvents(row, state.leave(exits[segment]), plan))
        continue
      }
      if (isStackFull && confidence > threshold) state.force()
      deeper.push(row)
    }
    going = deeper
  }
  events.push(...(await flush(session, going, plan)))
  return events
}

/** Runs the last segment over everything that waits for it, and settles what the policy makes of it. */
async function flush(session: DecoderSession, rows: readonly Row[], plan: Plan): Promise<DecodeEvent[]> {
  if (rows.length === 0) return []
  const segment = plan.exits.length - 1
  const choices = await session.run({
    segment,
    rows: rows.map(({ state }) => state.index),
    exit: [],
    signal: plan.signal,
  })
  return rows.flatMap((row, i) => {
    const { state } = row
    state.passed(layersOf(segment, plan.exits))
    const deep = choices[i].map(({ token }) => token)
    const { emission, truncateTo } = state.settle(deep, plan.policy.verify)
    if (truncateTo !== null) session.truncate(state.index, truncateTo)
    return emission ? emissionEvents(row, emission, plan) : commitEvents(row)
  })
}

function emissionEvents(row: Row, emission: Emission, { policy, info }: Plan): DecodeEvent[] {
  const { settings } = row.state
  const token: TokenEvent = {
    type: 'token',
    row: settings.index,
    ...emission,
    exit: exitKind(emission.exitLayer, info),
    threshold: settings.threshold,
  }
  const isProvisional = policy.verify !== undefined && row.state.numPending > 0
  return isProvisional ? [token] : [token, ...commitEvents(row)]
}

/** Makes everything emitted so far final. */
function commitEvents(row: Row): CommitEvent[] {
  const { state } = row
  const position = row.numCommitted
  const tokens = state.tokensFrom(position)
  row.numCommitted += tokens.length
  let text = ''
  for (const token of tokens) text += row.stream?.push(token) ?? ''
  if (state.phase !== 'open') {
    text += row.stream?.end() ?? ''
    row.stream = undefined
  }
  row.text += text
  if (tokens.length === 0 && text === '') return []
  return [{ type: 'commit', row: state.index, position, tokens, text }]
}

function inPhase(rows: readonly Row[], phase: RowState['phase']): readonly Row[] {
  return rows.filter(({ state }) => state.phase === phase)
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
