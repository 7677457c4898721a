// A decoding session on tfjs: rows of segment caches, and the verbs over them. The layers' arithmetic is model/'s.
import * as tf from '@tensorflow/tfjs'
import type {
  DecoderSession,
  ExitChoice,
  ExitFeature,
  RunOptions,
  SessionOptions,
} from '../../decoding/index.js'
import { agreementProbability, decoderLayer, embed, exitLogits, rmsNorm } from '../../model/index.js'
import type { LayerShape } from '../../model/index.js'
import { disposedError, noConfidenceHeadError } from '../checks.js'
import { CrossMemory } from './crossMemory.js'
import type { EncodedRow } from './crossMemory.js'
import type { EngineWeights } from './decoderWeights.js'
import { chooseInGraph, forbid, readChoices } from './exitChoice.js'
import type { ExitTensors } from './exitChoice.js'
import type { PositionBias } from './positionBias.js'
import { joinKeyValues, joinRows, splitKeyValue, splitRows } from './rowGroup.js'
import { SegmentCache } from './segmentCache.js'

/** What a session uses of its engine, and does not own. */
export interface SessionModel {
  readonly weights: EngineWeights
  readonly bias: PositionBias
  readonly layer: LayerShape
}

interface Row {
  /** One object for all rows of a source. */
  readonly memory: CrossMemory
  /** By segment. */
  caches: readonly SegmentCache[]
}

/** See {@link DecoderSession}. Owns its caches, not the sources or the weights. */
export class TfjsSession implements DecoderSession {
  private readonly rows: readonly Row[]
  private isDisposed = false

  constructor(
    private readonly model: SessionModel,
    sources: readonly EncodedRow[],
    private readonly options: SessionOptions,
  ) {
    const { exits, rowsPerSource = 1 } = options
    this.rows = sources.flatMap((source) => {
      const memory = new CrossMemory(source, model.weights.decoder.layers, model.layer.numHeads)
      return Array.from({ length: rowsPerSource }, () => ({
        memory,
        caches: exits.map(() => new SegmentCache()),
      }))
    })
  }

  push(row: number, token: number): void {
    this.assertUsable()
    const { embedding } = this.model.weights
    this.rows[row].caches[0].add(tf.tidy(() => embed(embedding, tf.tensor1d([token], 'int32'))))
  }

  async run({ segment, rows, exit, signal }: RunOptions): Promise<ExitChoice[][]> {
    const choices: ExitChoice[][] = []
    for (const group of this.groupsOf(rows, segment)) {
      this.assertUsable()
      signal?.throwIfAborted()
      const tensors = this.pass(group, segment, exit)
      if (!tensors) {
        choices.push(...group.map(() => []))
        continue
      }
      try {
        const all = await readChoices(tensors, exit!)
        const numPositions = all.length / group.length
        choices.push(...group.map((_, i) => all.slice(i * numPositions, (i + 1) * numPositions)))
      } finally {
        tf.dispose(tensors)
      }
      signal?.throwIfAborted()
    }
    return choices
  }

  truncate(row: number, length: number): void {
    this.assertUsable()
    for (const cache of this.rows[row].caches) cache.truncate(length)
  }

  reorder(rows: readonly number[], from: readonly number[]): void {
    this.assertUsable()
    const before = rows.map((row) => this.rows[row].caches)
    const moved = new Set<Row['caches']>()
    // What one row goes on from is moved, what several do is copied.
    const after = from.map((row) => {
      const { caches } = this.rows[row]
      if (!rows.includes(row) || moved.has(caches)) return caches.map((cache) => cache.copy())
      moved.add(caches)
      return caches
    })
    for (const caches of before) if (!moved.has(caches)) for (const cache of caches) cache.dispose()
    for (const [i, row] of rows.entries()) this.rows[row].caches = after[i]
  }

  dispose(): void {
    if (this.isDisposed) return
    this.isDisposed = true
    for (const { memory, caches } of this.rows) {
      memory.dispose()
      for (const cache of caches) cache.dispose()
    }
  }

  /**
   * The rows in order, those beside each other together that can go through a segment in one pass: of one source, which
   * reads the same weights and the same source once for all, and alike in what they have computed and what waits.
   */
  private groupsOf(rows: readonly number[], segment: number): number[][] {
    const groups: number[][] = []
    const isAlike = (row: Row, other: Row) => {
      const [cache, otherCache] = [row.caches[segment], other.caches[segment]]
      return (
        row.memory === other.memory &&
        cache.length === otherCache.length &&
        cache.numWaiting === otherCache.numWaiting
      )
    }
    for (const row of rows) {
      const group = groups.at(-1)
      if (group && isAlike(this.rows[group[0]], this.rows[row])) group.push(row)
      else groups.push([row])
    }
    return groups
  }

  /** One pass of a group through a segment; the exit's tensors, which the caller disposes, where it is looked at. */
  private pass(
    group: readonly number[],
    segment: number,
    features: readonly ExitFeature[] | undefined,
  ): ExitTensors | undefined {
    const { exits } = this.options
    const { memory } = this.rows[group[0]]
    const caches = group.map((row) => this.rows[row].caches[segment])
    const { length: first, numWaiting: numPositions } = caches[0]
    if (numPositions === 0) return undefined
    const { weights, bias, layer: shape } = this.model
    const firstLayer = segment === 0 ? 0 : exits[segment - 1]
    const layers = weights.decoder.layers.slice(firstLayer, exits[segment])
    const isLast = segment === exits.length - 1
    const { present, hidden, exit } = tf.tidy(() => {
      const selfBias = bias.slice(first, numPositions)
      let hidden = joinRows(caches.map((cache) => cache.input())) // [B*P, D]
      const present = layers.map((layer, i) => {
        const output = decoderLayer(hidden, layer, {
          ...shape,
          batch: group.length,
          selfBias,
          past: joinKeyValues(caches.map((cache) => cache.past(i))),
          memory: memory.at(firstLayer + i),
          memoryBias: memory.source.bias,
        })
        hidden = output.hidden
        return splitKeyValue(output.present)
      })
      const exit = features && this.choose(hidden, { group, first, features })
      return { present, hidden: isLast ? undefined : splitRows(hidden, group.length), exit }
    })
    // Only now that the whole pass is done: had it thrown, the caches would be as before.
    for (const [i, cache] of caches.entries()) cache.advance(present.map((layer) => layer[i]))
    if (hidden) for (const [i, row] of group.entries()) this.rows[row].caches[segment + 1].add(hidden[i])
    return exit
  }

  private choose(
    hidden: tf.Tensor2D,
    pass: {
      readonly group: readonly number[]
      readonly first: number
      readonly features: readonly ExitFeature[]
    },
  ): ExitTensors {
    const { weights, layer } = this.model
    const { group, first, features } = pass
    // The scale of v1.0 is in the head already.
    const logits = exitLogits(hidden, weights.exit, { epsilon: layer.epsilon, scaleLogits: false })
    const { forbidden, numCandidates = 1 } = this.options
    const query = { features, numCandidates, unmasked: logits, agreement: this.agreement(hidden, features) }
    if (!forbidden) return chooseInGraph(logits, query)
    const positions = Array.from({ length: hidden.shape[0] / group.length }, (_, i) => first + i)
    const lists = group.flatMap((row) => positions.map((position) => forbidden(row, position)))
    return chooseInGraph(forbid(logits, lists), query)
  }

  /** What the confidence head says of shallow states [N, D], where it is asked. */
  private agreement(hidden: tf.Tensor2D, features: readonly ExitFeature[]): tf.Tensor1D | undefined {
    const { weights, layer } = this.model
    if (!features.includes('agreement')) return undefined
    if (!weights.confidenceHead) throw noConfidenceHeadError()
    return agreementProbability(rmsNorm(hidden, weights.exit.norm, layer.epsilon), weights.confidenceHead)
  }

  private assertUsable(): void {
    if (this.isDisposed) throw disposedError('session')
  }
}
