// A decoding session on tfjs: what its rows keep, and the verbs over them. The layers' arithmetic is model/'s.
import * as tf from '@tensorflow/tfjs'
import type {
  DecoderSession,
  ExitChoice,
  ExitFeature,
  RunOptions,
  SessionOptions,
} from '../../decoding/index.js'
import { agreementProbability, lengthNorm } from '../../model/index.js'
import { disposedError, noConfidenceHeadError } from '../checks.js'
import { CrossMemory, JoinedMemory } from './crossMemory.js'
import type { EncodedRow, LayerMemory } from './crossMemory.js'
import type { EngineWeights } from './decoderWeights.js'
import { chooseInGraph, forbid, readChoices } from './exitChoice.js'
import type { ExitTensors } from './exitChoice.js'
import { packedChoice } from './segmentExit.js'
import { SegmentCache } from './segmentCache.js'
import { statesAt, type SegmentOutput, type SegmentRunner } from './segments.js'
import { Shared } from './shared.js'

/** What a session uses of its engine, and does not own. */
export interface SessionModel {
  readonly weights: EngineWeights
  readonly segments: SegmentRunner
  readonly epsilon: number
}

/** Rows of a pass that are alike in what they have computed, in what waits, and in the length of their sources. */
interface PassGroup {
  readonly rows: number[]
  /** Positions that each has computed. */
  readonly first: number
  /** Positions that wait in each. */
  readonly numPositions: number
}

/** See {@link DecoderSession}. Owns its caches, not the sources or the weights. */
export class TfjsSession implements DecoderSession {
  /** By row; one object for all rows of a source. */
  private readonly memories: readonly CrossMemory[]
  /** By segment. */
  private readonly caches: readonly SegmentCache[]
  /** Memories side by side that the last pass of each segment read, by the rows they are for. */
  private readonly joined: Map<string, JoinedMemory>[]
  /** Whose rows wait for the first segment. */
  private readonly embedding: Shared<tf.Tensor2D>
  private isDisposed = false

  constructor(
    private readonly model: SessionModel,
    sources: readonly EncodedRow[],
    private readonly options: SessionOptions,
  ) {
    const { exits, rowsPerSource = 1 } = options
    this.memories = sources.flatMap((source) => {
      const memory = new CrossMemory(source, (layer, row) => model.segments.crossKeyValue(layer, row))
      return Array.from({ length: rowsPerSource }, () => memory)
    })
    this.caches = exits.map(() => new SegmentCache(this.memories.length))
    this.joined = exits.map(() => new Map<string, JoinedMemory>())
    this.embedding = new Shared(model.weights.embedding, true)
  }

  push(row: number, token: number): void {
    this.assertUsable()
    this.caches[0].add(row, { states: this.embedding, start: token, count: 1 })
  }

  async run(options: RunOptions): Promise<ExitChoice[][]> {
    const { segment, rows, exit, newestOnly, signal } = options
    this.assertUsable()
    signal?.throwIfAborted()
    const groups = this.groupsOf(rows, segment)
    const choices = new Map<number, ExitChoice[]>()
    const found = groups.length === 0 ? undefined : this.pass(groups, options)
    // Awaited also where nothing is to be read: an abort that comes while the promise is open must be seen.
    const all = await (found && !Array.isArray(found) ? this.read(found, exit!) : found)
    let start = 0
    for (const { rows, numPositions } of all ? groups : []) {
      for (const row of rows) choices.set(row, all!.slice(start, (start += newestOnly ? 1 : numPositions)))
    }
    signal?.throwIfAborted()
    return rows.map((row) => choices.get(row) ?? [])
  }

  truncate(row: number, length: number): void {
    this.assertUsable()
    for (const cache of this.caches) cache.truncate(row, length)
  }

  reorder(rows: readonly number[], from: readonly number[]): void {
    this.assertUsable()
    for (const cache of this.caches) cache.reorder(rows, from)
  }

  dispose(): void {
    if (this.isDisposed) return
    this.isDisposed = true
    for (const cache of this.caches) cache.dispose()
    for (const joined of this.joined) for (const memory of joined.values()) memory.dispose()
    for (const memory of this.memories) memory.dispose()
  }

  /** Rows with something to compute, in groups that attention takes at once; products take all groups at once. */
  private groupsOf(rows: readonly number[], segment: number): PassGroup[] {
    const cache = this.caches[segment]
    const groups = new Map<string, PassGroup>()
    for (const row of rows) {
      const [first, numPositions] = [cache.length(row), cache.numWaiting(row)]
      if (numPositions === 0) continue
      const key = `${first} ${numPositions} ${this.memories[row].length}`
      const known = groups.get(key)
      if (known) known.rows.push(row)
      else groups.set(key, { rows: [row], first, numPositions })
    }
    return [...groups.values()]
  }

  /** Reads an exit's choices, and disposes them. */
  private async read(tensors: ExitTensors, features: readonly ExitFeature[]): Promise<ExitChoice[]> {
    try {
      return await readChoices(tensors, features)
    } finally {
      tf.dispose(tensors)
    }
  }

  /**
   * One pass of all groups through a segment. Where its exit is looked at: the choices, or the tensors that they are to be
   * read from, which the caller disposes.
   */
  private pass(
    groups: readonly PassGroup[],
    { segment, exit: features, settles, newestOnly }: RunOptions,
  ): ExitTensors | ExitChoice[] | undefined {
    const { exits } = this.options
    const cache = this.caches[segment]
    const { segments } = this.model
    const looked = features && lookedAt(groups, newestOnly)
    const forbidden = looked && this.forbiddenAt(looked)
    const positions =
      looked && looked.length < numRowsOf(groups) ? looked.map(({ index }) => index) : undefined
    const from = segment === 0 ? 0 : exits[segment - 1]
    const isLast = segment === exits.length - 1
    const memories = this.memoriesOf(groups, segment)
    let choices: SegmentOutput['choices']
    const { present, states, exit } = tf.tidy(() => {
      const output = segments.run({
        from,
        to: exits[segment],
        hidden: cache.input(groups.flatMap(({ rows }) => rows)),
        groups: groups.map(({ rows, first, numPositions }, j) => ({
          batch: rows.length,
          first,
          numPositions,
          past: cache.past(rows),
          memory: memories[j],
        })),
        exit: features && {
          positions,
          choice: forbidden ? undefined : packedChoice(features),
          wantsLogits: features.includes('logits'),
          settles: settles && ((n, low, high) => settles(looked![n].row, low, high)),
        },
      })
      const exit =
        features && !output.choices ? this.choose(output, features, { forbidden, positions }) : undefined
      const present = output.present as tf.Tensor4D[][]
      choices = output.choices
      return { present, states: isLast ? undefined : output.hidden, exit }
    })
    // Only now that the whole pass is done: had it thrown, the caches would be as before.
    const shared = states && new Shared(states)
    let start = 0
    for (const [j, { rows, numPositions }] of groups.entries()) {
      cache.advance(rows, present[j])
      for (const row of rows) {
        if (shared) this.caches[segment + 1].add(row, { states: shared, start, count: numPositions })
        start += numPositions
      }
    }
    cache.compact()
    return choices ? [...choices] : exit
  }

  /** What each group's cross-attention reads; what the last pass had joined for others is let go. */
  private memoriesOf(groups: readonly PassGroup[], segment: number): LayerMemory[] {
    const before = this.joined[segment]
    const now = new Map<string, JoinedMemory>()
    const memories = groups.map(({ rows }): LayerMemory => {
      const own = rows.map((row) => this.memories[row])
      if (own.every((memory) => memory === own[0])) return own[0]
      const key = rows.join()
      const memory = before.get(key) ?? new JoinedMemory(own)
      now.set(key, memory)
      return memory
    })
    for (const [key, memory] of before) if (!now.has(key)) memory.dispose()
    this.joined[segment] = now
    return memories
  }

  /** What no position that is looked at may choose, a list each; undefined where everything may be. */
  private forbiddenAt(looked: readonly LookedAt[]): (readonly number[])[] | undefined {
    const { forbidden } = this.options
    if (!forbidden) return undefined
    const lists = looked.map(({ row, position }) => forbidden(row, position))
    return lists.every((tokens) => tokens.length === 0) ? undefined : lists
  }

  /** What the exit says of a pass. */
  private choose(
    { hidden, logits, packed }: SegmentOutput,
    features: readonly ExitFeature[],
    { forbidden, positions }: ExitPlaces,
  ): ExitTensors {
    if (packed) return { packed, logits: logits! }
    const { numCandidates = 1 } = this.options
    const agreement = features.includes('agreement') ? this.agreement(statesAt(hidden, positions)) : undefined
    const query = { features, numCandidates, unmasked: logits!, agreement }
    return chooseInGraph(forbidden ? forbid(logits!, forbidden) : logits!, query)
  }

  /** What the confidence head says of shallow states [N, D]. */
  private agreement(hidden: tf.Tensor2D): tf.Tensor1D {
    const { weights, epsilon } = this.model
    if (!weights.confidenceHead) throw noConfidenceHeadError()
    return agreementProbability(lengthNorm(hidden, epsilon), weights.confidenceHead)
  }

  private assertUsable(): void {
    if (this.isDisposed) throw disposedError('session')
  }
}

/** What a pass's exit is asked for: undefined `positions`, all; undefined `forbidden`, every token may be chosen. */
interface ExitPlaces {
  readonly positions: readonly number[] | undefined
  readonly forbidden: readonly (readonly number[])[] | undefined
}

/** A position of a pass whose exit is looked at. */
interface LookedAt {
  readonly row: number
  /** In its row. */
  readonly position: number
  /** In the pass. */
  readonly index: number
}

function lookedAt(groups: readonly PassGroup[], newestOnly = false): LookedAt[] {
  let index = 0
  return groups.flatMap(({ rows, first, numPositions }) =>
    rows.flatMap((row) => {
      const all = Array.from({ length: numPositions }, (_, i) => ({
        row,
        position: first + i,
        index: index++,
      }))
      return newestOnly ? all.slice(-1) : all
    }),
  )
}

function numRowsOf(groups: readonly PassGroup[]): number {
  return groups.reduce((sum, { rows, numPositions }) => sum + rows.length * numPositions, 0)
}
