// What the choice of the shallow depth rests on, measured on an engine: what the exit after each layer chooses at all
// positions of some sequences, and what the two segments cost where the decoder is cut there. Browser-safe.
import type { ConfidenceName } from '../config/index.js'
import {
  confidenceMeasure,
  decodeOne,
  full,
  type DecoderEngine,
  type DecoderSession,
  type ExitFeature,
} from '../decoding/index.js'
import { quantile, type ExitObservations, type SegmentCosts } from '../evaluation/index.js'

export interface ObserveExitsOptions {
  readonly engine: DecoderEngine
  /** Token ids of each source, with the end of sequence. */
  readonly sources: readonly ArrayLike<number>[]
  /** Token ids that each decoder is forced along, with the end of sequence. Neutral: undefined, its own full greedy output. */
  readonly targets?: readonly ArrayLike<number>[]
  readonly confidence: ConfidenceName
  /** Of an own output. */
  readonly maxNewTokens: number
  readonly onExample?: (numDone: number, numExamples: number) => void
  readonly signal?: AbortSignal
}

/**
 * Runs each sequence once through all layers, all its positions in one pass a layer, and looks at every exit; by layer, the
 * last left out. Throws what the engine throws; rejects with `signal.reason` when aborted.
 */
export async function observeExits(options: ObserveExitsOptions): Promise<ExitObservations[]> {
  const { engine, sources, targets, confidence, maxNewTokens, onExample, signal } = options
  const { decoderLayers, decoderStartId, vocabSize } = engine.info
  const { needs, measure } = confidenceMeasure(confidence, engine.info)
  const exits = Array.from({ length: decoderLayers }, (_, i) => i + 1)
  const confidences = exits.slice(1).map(() => [] as number[])
  const agree = exits.slice(1).map(() => [] as number[])
  for (const [index, source] of sources.entries()) {
    const tokens =
      targets?.[index] ?? (await decodeOne(engine, source, { policy: full(), maxNewTokens, signal })).tokens
    await withSession({ engine, source, exits, signal }, async (session) => {
      for (let i = 0; i < tokens.length; i++) session.push(0, i === 0 ? decoderStartId : tokens[i - 1])
      const chosen = []
      for (const segment of exits.keys()) {
        const exit = segment < decoderLayers - 1 ? needs : []
        chosen.push((await session.run({ segment, rows: [0], exit, signal }))[0])
      }
      const deep = chosen[decoderLayers - 1]
      for (const [layer, choices] of chosen.slice(0, -1).entries()) {
        for (const [i, choice] of choices.entries()) {
          confidences[layer].push(measure(choice, vocabSize))
          agree[layer].push(choice.token === deep[i].token ? 1 : 0)
        }
      }
    })
    onExample?.(index + 1, sources.length)
  }
  return confidences.map((list, layer) => ({
    confidences: Float64Array.from(list),
    agree: Uint8Array.from(agree[layer]),
  }))
}

export interface MeasureCostsOptions {
  readonly engine: DecoderEngine
  /** Token ids of a source of usual length, with the end of sequence. */
  readonly source: ArrayLike<number>
  /** Positions that are in the caches before the clock counts. */
  readonly contextLength: number
  readonly confidence: ConfidenceName
  /** Milliseconds from any origin. Neutral: performance.now. */
  readonly now?: () => number
  readonly signal?: AbortSignal
}

/** Sizes of deep passes that are measured; costs of others are drawn between and beyond them. */
const PASS_SIZES = [1, 2, 4, 8]
/** Each depth is measured in this many rounds over all depths, so that what slows the machine for a while slows all. */
const ROUNDS = 5
const REPEATS = 2

/**
 * Measures costs at each depth, by layer from the first to the last but one, and of full decoding of a token; lower
 * quartiles, since what else runs on a machine only adds.
 * Throws what the engine throws; rejects with `signal.reason` when aborted.
 */
export async function measureSegmentCosts(
  options: MeasureCostsOptions,
): Promise<{ readonly costs: readonly SegmentCosts[]; readonly fullMs: number }> {
  const { decoderLayers } = options.engine.info
  const depths = Array.from({ length: decoderLayers - 1 }, (_, i) => i + 1)
  const samples = depths.map(() => ({ shallow: [] as number[], deep: PASS_SIZES.map(() => [] as number[]) }))
  const fullSamples: number[] = []
  const { needs } = confidenceMeasure(options.confidence, options.engine.info)
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, depth] of depths.entries()) {
      await timePasses([depth, decoderLayers], options, async (time) => {
        // As full decoding does it, which passes the shallow exit by.
        fullSamples.push((await time(0, 1, undefined)) + (await time(1, 0, [])))
        for (const [size, deep] of samples[i].deep.entries()) {
          for (let n = 0; n < PASS_SIZES[size]; n++) samples[i].shallow.push(await time(0, 1, needs))
          deep.push(await time(1, 0, []))
        }
      })
    }
  }
  return {
    costs: samples.map(({ shallow, deep }) => ({
      shallowMs: quantile(shallow, 0.25),
      deep: deep.map((list, size) => ({ positions: PASS_SIZES[size], ms: quantile(list, 0.25) })),
    })),
    fullMs: quantile(fullSamples, 0.25),
  }
}

/** Times one pass of a segment, after so many new tokens were put in; resolves with milliseconds. */
type TimePass = (
  segment: number,
  numTokens: number,
  exit: readonly ExitFeature[] | undefined,
) => Promise<number>

/** Repeats `measure` from the same context of a session with these exits, once unobserved to warm up. */
async function timePasses(
  exits: readonly number[],
  options: MeasureCostsOptions,
  measure: (time: TimePass) => Promise<void>,
): Promise<void> {
  const { engine, source, contextLength, now = () => performance.now(), signal } = options
  const token = engine.info.decoderStartId
  await withSession({ engine, source, exits, signal }, async (session) => {
    const time: TimePass = async (segment, numTokens, exit) => {
      for (let i = 0; i < numTokens; i++) session.push(0, token)
      const start = now()
      await session.run({ segment, rows: [0], exit, signal })
      return now() - start
    }
    for (const segment of exits.keys()) await time(segment, segment === 0 ? contextLength : 0, [])
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      await measure(time)
      session.truncate(0, contextLength)
    }
  })
}

async function withSession(
  start: {
    readonly engine: DecoderEngine
    readonly source: ArrayLike<number>
    readonly exits: readonly number[]
    readonly signal: AbortSignal | undefined
  },
  use: (session: DecoderSession) => Promise<void>,
): Promise<void> {
  const { engine, source, exits, signal } = start
  const encoded = await engine.encode([source], { signal })
  try {
    const session = encoded.open({ exits })
    try {
      await use(session)
    } finally {
      session.dispose()
    }
  } finally {
    encoded.dispose()
  }
}
