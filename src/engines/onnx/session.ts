// A decoding session on ONNX Runtime: rows of segment caches, and the verbs over them.
import type {
  DecoderSession,
  ExitChoice,
  ExitFeature,
  RunOptions,
  SessionOptions,
} from '../../decoding/index.js'
import { disposedError } from '../checks.js'
import { agreementOf } from './agreement.js'
import { exitOutputs, readChoices, type ExitQuery } from './exitChoice.js'
import type { ModelGraphs } from './graphs.js'
import { proposeTokens } from './proposal.js'
import type { RuntimeTensors } from './runtime.js'
import { SegmentCache, type RowRange } from './segmentCache.js'
import { embedTokens, joinMemories, type EncodedSource } from './source.js'

/** Rows that go through a segment together, each with `numPositions` new ones. */
interface Pass extends RowRange {
  readonly numPositions: number
  /** Those of the range that are asked for. The others go along and are left as they were. */
  readonly rows: readonly number[]
}

/** See {@link DecoderSession}. */
export class OnnxSession implements DecoderSession {
  /** By segment. */
  private readonly caches: readonly SegmentCache[]
  /** By row. */
  private readonly sources: readonly EncodedSource[]
  private readonly memories = new Map<string, RuntimeTensors>()
  private isDisposed = false

  constructor(
    private readonly graphs: ModelGraphs,
    sources: readonly EncodedSource[],
    private readonly options: SessionOptions,
  ) {
    const { exits, rowsPerSource = 1 } = options
    this.sources = sources.flatMap((source) => Array.from({ length: rowsPerSource }, () => source))
    this.caches = exits.map((to, segment) => {
      const from = segment === 0 ? 0 : exits[segment - 1]
      const layers = Array.from({ length: to - from }, (_, i) => from + i)
      return new SegmentCache(graphs, layers, this.sources.length)
    })
  }

  push(row: number, token: number): void {
    this.assertUsable()
    this.caches[0].add(row, embedTokens(this.graphs, [token]))
  }

  async run({ segment, rows, exit, newestOnly = false, signal }: RunOptions): Promise<ExitChoice[][]> {
    const choices = new Map<number, ExitChoice[]>()
    for (const pass of this.passesOf(rows, segment)) {
      this.assertUsable()
      signal?.throwIfAborted()
      const states = await this.compute(pass, segment)
      if (exit) {
        const numLooked = newestOnly ? 1 : pass.numPositions
        const looked = this.newestStates(pass, states, numLooked)
        const all = await this.choose(looked, this.queriesOf(pass, segment, { features: exit, numLooked }))
        for (const [i, row] of pass.rows.entries()) {
          choices.set(row, all.slice(i * numLooked, (i + 1) * numLooked))
        }
      }
      // Only now that all is done: had it thrown, the positions would wait as before.
      this.advance(pass, states, segment)
      signal?.throwIfAborted()
    }
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
    this.isDisposed = true
  }

  /**
   * Rows with one new position go together: the attention's kernel takes several rows only then. Rows between them that
   * are not asked for go along, where they are fewer, for caches lie beside each other.
   */
  private passesOf(rows: readonly number[], segment: number): Pass[] {
    const cache = this.caches[segment]
    const passes: Pass[] = []
    const singles: number[] = []
    for (const row of rows) {
      const numPositions = cache.numWaiting(row)
      if (numPositions === 1) singles.push(row)
      else if (numPositions > 1) passes.push({ start: row, count: 1, numPositions, rows: [row] })
    }
    if (singles.length === 0) return passes
    const start = Math.min(...singles)
    const count = Math.max(...singles) - start + 1
    if (count <= 2 * singles.length) return [...passes, { start, count, numPositions: 1, rows: singles }]
    return [...passes, ...singles.map((row) => ({ start: row, count: 1, numPositions: 1, rows: [row] }))]
  }

  /** One pass through a segment -> the new states [N, D] of its rows. What it writes into caches is beyond their lengths. */
  private async compute({ start, count, numPositions, rows }: Pass, segment: number): Promise<Float32Array> {
    const { graphs } = this
    const { dModel } = graphs.config
    const cache = this.caches[segment]
    const width = numPositions * dModel
    const positions = new Int32Array(count * numPositions)
    const last = new Int32Array(count)
    for (let i = 0; i < count; i++) {
      const first = cache.lengths[start + i]
      for (let p = 0; p < numPositions; p++) positions[i * numPositions + p] = first + p
      last[i] = first + numPositions - 1
    }
    let states: Float32Array
    if (count === 1) {
      states = cache.input(start)
    } else {
      states = new Float32Array(count * width)
      for (const row of rows) states.set(cache.input(row), (row - start) * width)
    }
    const total = Math.max(...last) + 1
    const { past, present } = cache.tensorsOf({ start, count }, total)
    const layers = cache.layers
    const session = await graphs.segment({ from: layers[0], to: layers[0] + layers.length })
    const outputs = await session.run(
      {
        states: graphs.tensor(states, [count, numPositions, dModel]),
        positions: graphs.tensor(positions, [count, numPositions, 1]),
        last_position: graphs.tensor(last, [count]),
        total_length: graphs.tensor(Int32Array.of(total), []),
        ...this.memoryOf({ start, count }, segment),
        ...past,
      },
      { next_states: null, ...present },
    )
    if (!graphs.writesInPlace) cache.store({ start, count }, outputs)
    const all = outputs.next_states.data as Float32Array
    const next = new Float32Array(rows.length * width)
    for (const [i, row] of rows.entries()) {
      next.set(all.subarray((row - start) * width, (row - start + 1) * width), i * width)
    }
    return next
  }

  /** The rows of a pass have been through a segment, with these states [N, D], and wait for the next one. */
  private advance({ rows }: Pass, states: Float32Array, segment: number): void {
    const width = states.length / rows.length
    for (const [i, row] of rows.entries()) {
      this.caches[segment].advance(row)
      this.caches[segment + 1]?.add(row, states.subarray(i * width, (i + 1) * width))
    }
  }

  private memoryOf({ start, count }: RowRange, segment: number): RuntimeTensors {
    const key = `${segment} ${start} ${count}`
    const known = this.memories.get(key)
    if (known) return known
    const sources = this.sources.slice(start, start + count)
    const made = joinMemories(this.graphs, sources, this.caches[segment].layers)
    this.memories.set(key, made)
    return made
  }

  /** Of a pass's states [N, D] those of each row's newest positions. */
  private newestStates({ rows, numPositions }: Pass, states: Float32Array, numNewest: number): Float32Array {
    if (numNewest === numPositions) return states
    const { dModel } = this.graphs.config
    const newest = new Float32Array(rows.length * numNewest * dModel)
    for (const i of rows.keys()) {
      const end = (i + 1) * numPositions * dModel
      newest.set(states.subarray(end - numNewest * dModel, end), i * numNewest * dModel)
    }
    return newest
  }

  /** What an exit is asked at the newest positions of each row of a pass, in the order of their states. */
  private queriesOf(
    { rows, numPositions }: Pass,
    segment: number,
    { features, numLooked }: { readonly features: readonly ExitFeature[]; readonly numLooked: number },
  ): ExitQuery[] {
    const { forbidden, numCandidates = 1 } = this.options
    return rows.flatMap((row) => {
      const first = this.caches[segment].lengths[row] + numPositions - numLooked
      return Array.from({ length: numLooked }, (_, i) => ({
        features,
        numCandidates,
        forbidden: forbidden?.(row, first + i) ?? [],
      }))
    })
  }

  /** What an exit says of states [N, D]. */
  private async choose(states: Float32Array, queries: readonly ExitQuery[]): Promise<ExitChoice[]> {
    const wantsArgMax = ({ features, forbidden }: ExitQuery) =>
      features.length === 0 && forbidden.length === 0
    if (this.graphs.proposes && queries.every(wantsArgMax)) {
      const tokens = await proposeTokens(this.graphs, states)
      this.graphs.proposals.asked++
      if (tokens.every((token) => token !== undefined)) {
        this.graphs.proposals.proven++
        return tokens.map((token) => ({ token }))
      }
    }
    const exit = await this.graphs.exit()
    const { dModel } = this.graphs.config
    const input = this.graphs.tensor(states, [queries.length, dModel])
    const choices = readChoices(await exit.run({ states: input }, exitOutputs(queries)), queries)
    return choices.map((choice, n) => {
      if (!queries[n].features.includes('agreement')) return choice
      const state = states.subarray(n * dModel, (n + 1) * dModel)
      return { ...choice, agreement: agreementOf(state, this.graphs) }
    })
  }

  private assertUsable(): void {
    if (this.isDisposed) throw disposedError('session')
  }
}
