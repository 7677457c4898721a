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
  type RunOptions,
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
    await withSession({ engine, sources: [source], exits, signal }, async (session) => {
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
  /** Depths to measure, in layers. Neutral: all, from the first to the last but one. */
  readonly depths?: readonly number[]
  /**
   * Rows that are decoded together. Shallow passes and full decoding go over all of them, and a row's share counts; deep
   * passes go over one, as rows need them at different times. Neutral: 1.
   */
  readonly batchSize?: number
  /** What tokens are taken from, at either exit. Neutral: none, greedily. */
  readonly tokenNeeds?: readonly ExitFeature[]
  /** What the last exit is asked for besides at early exits' deep passes. Neutral: none. */
  readonly verifyNeeds?: readonly ExitFeature[]
  /** Whether these passes ask it for all their positions, for verification or evidence. Neutral: false, for the newest. */
  readonly asksAll?: boolean
  /** Whether early exits are asked for confidences to the last digit, as decoding may be. Neutral: false. */
  readonly exactConfidence?: boolean
  /** Milliseconds from any origin. Neutral: performance.now. */
  readonly now?: () => number
  readonly signal?: AbortSignal
}

/** Sizes of deep passes that are measured; costs of others are drawn between and beyond them. */
const PASS_SIZES = [1, 2, 4, 8]
/** Each depth is measured in this many rounds over all depths, so that what slows the machine for a while slows all. */
const ROUNDS = 5
const REPEATS = 2
/** Of the times of a pass this quantile counts: what else runs on a machine only adds. */
const UNDISTURBED = 0.1

/** Times of one depth, in ms. */
interface DepthSamples {
  readonly shallow: number[]
  /** By {@link PASS_SIZES}. */
  readonly deep: readonly number[][]
  /** The two passes of full decoding, which passes the shallow exit by. */
  readonly full: readonly [shallow: number[], deep: number[]]
}

/**
 * Measures costs at each depth, and of full decoding of a token. Throws what the engine throws; rejects with
 * `signal.reason` when aborted.
 */
export async function measureSegmentCosts(
  options: MeasureCostsOptions,
): Promise<{ readonly costs: readonly SegmentCosts[]; readonly fullMs: number }> {
  const { decoderLayers } = options.engine.info
  const { depths = Array.from({ length: decoderLayers - 1 }, (_, i) => i + 1) } = options
  const samples = depths.map((): DepthSamples => ({
    shallow: [],
    deep: PASS_SIZES.map(() => []),
    full: [[], []],
  }))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, depth] of depths.entries()) await sampleDepth(samples[i], depth, options)
  }
  const settled = (times: readonly number[]) => quantile(times, UNDISTURBED)
  return {
    costs: samples.map(({ shallow, deep }) => ({
      shallowMs: settled(shallow),
      deep: deep.map((times, size) => ({ positions: PASS_SIZES[size], ms: settled(times) })),
    })),
    // Passes apart, as for early exits: two that are both undisturbed are rarer than one.
    fullMs: quantile(
      samples.map(({ full: [shallow, deep] }) => settled(shallow) + settled(deep)),
      0.5,
    ),
  }
}

/** Full decoding and passes of one position alternate, so that noise does not decide between them. */
async function sampleDepth(
  { shallow, deep, full }: DepthSamples,
  depth: number,
  options: MeasureCostsOptions,
): Promise<void> {
  const { engine, confidence, batchSize = 1, tokenNeeds = [], verifyNeeds = [] } = options
  const { needs } = confidenceMeasure(confidence, engine.info)
  const rows = rowsOf(batchSize)
  const settles = options.exactConfidence ? undefined : () => true
  await timePasses([depth, engine.info.decoderLayers], options, async (time) => {
    const timeRows = async (pass: Omit<TimedPass, 'rows'>) => (await time({ ...pass, rows })) / batchSize
    const timeFlush = async (size: number) => {
      for (let n = 0; n < PASS_SIZES[size]; n++) {
        const exit = [...needs, ...tokenNeeds]
        shallow.push(await timeRows({ segment: 0, numTokens: 1, exit, settles }))
      }
      const exit = [...tokenNeeds, ...verifyNeeds]
      deep[size].push(await time({ segment: 1, rows: [0], numTokens: 0, exit, newestOnly: !options.asksAll }))
      // The other rows catch up, or what waits there would be counted with the next pass over all.
      if (batchSize > 1) await time({ segment: 1, rows: rows.slice(1), numTokens: 0 })
    }
    for (const size of PASS_SIZES.keys()) {
      full[0].push(await timeRows({ segment: 0, numTokens: 1 }))
      full[1].push(await timeRows({ segment: 1, numTokens: 0, exit: tokenNeeds }))
      if (size > 0) await timeFlush(size)
      await timeFlush(0)
    }
  })
}

/** A pass that is timed. */
interface TimedPass extends RunOptions {
  /** New tokens that are put into each row before. */
  readonly numTokens: number
}

/** Times a pass; resolves with milliseconds. */
type TimePass = (pass: TimedPass) => Promise<number>

function rowsOf(batchSize: number): number[] {
  return Array.from({ length: batchSize }, (_, row) => row)
}

/** Repeats `measure` from the same context of a session with these exits. */
async function timePasses(
  exits: readonly number[],
  options: MeasureCostsOptions,
  measure: (time: TimePass) => Promise<void>,
): Promise<void> {
  const { engine, source, batchSize = 1, contextLength, now = () => performance.now(), signal } = options
  const token = engine.info.decoderStartId
  const rows = rowsOf(batchSize)
  const sources = rows.map(() => source)
  await withSession({ engine, sources, exits, signal }, async (session) => {
    const time: TimePass = async ({ numTokens, ...pass }) => {
      for (const row of pass.rows) for (let i = 0; i < numTokens; i++) session.push(row, token)
      const start = now()
      await session.run({ ...pass, signal })
      return now() - start
    }
    for (const segment of exits.keys()) {
      await time({ segment, rows, numTokens: segment === 0 ? contextLength : 0, exit: [] })
    }
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      await measure(time)
      for (const row of rows) session.truncate(row, contextLength)
    }
  })
}

async function withSession(
  start: {
    readonly engine: DecoderEngine
    readonly sources: readonly ArrayLike<number>[]
    readonly exits: readonly number[]
    readonly signal: AbortSignal | undefined
  },
  use: (session: DecoderSession) => Promise<void>,
): Promise<void> {
  const { engine, sources, exits, signal } = start
  const encoded = await engine.encode(sources, { signal })
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
