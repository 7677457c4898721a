// Layers by kernels of our own, from the states that go in to an exit's logits, without a tensor between. A row's numbers do
// not depend on the rows beside it, nor on the threads that help.
import * as tf from '@tensorflow/tfjs'
import type { ModelConfig } from '../../../config/index.js'
import type { ExitChoice } from '../../../decoding/index.js'
import { takeFirst } from '../../../model/index.js'
import type {
  EncoderLayerWeights,
  FeedForwardWeights,
  KeyValue,
  LayerShape,
  Linear,
  SelfAttentionWeights,
} from '../../../model/index.js'
import type { LayerMemory } from '../crossMemory.js'
import type { CachedLayerWeights, EngineWeights } from '../decoderWeights.js'
import type { PositionBias } from '../positionBias.js'
import type { SegmentExit } from '../segmentExit.js'
import type { SegmentGroup, SegmentInput, SegmentOutput, SegmentRunner, SourceStates } from '../segments.js'
import {
  appendKeyValues,
  attend,
  NO_BIAS,
  type AttentionShape,
  type BiasPlaces,
  type KeyValuePlaces,
} from './attention.js'
import { canChoose, choiceBytes, chooseRows } from './choice.js'
import { currentKernels, LANES, type Kernels } from './kernels.js'
import type { RowMatrix } from './rowMatrix.js'
import { Room } from './room.js'
import { FLOAT, rowsFrom, type Rows } from './rows.js'
import { Workspace, type FeedForwardMatrices, type RowPass } from './workspace.js'

/** What is read, all of it the owner's; every matrix of a layer is a {@link RowMatrix}. */
export interface WasmModel {
  readonly weights: EngineWeights
  readonly bias: PositionBias
  readonly shape: LayerShape
}

/** Rows in step, and where what they read and keep stands. */
interface PlacedGroup {
  readonly shape: AttentionShape
  /** The first of its rows in the pass. */
  readonly start: number
  /** Positions with the new ones. */
  readonly length: number
  /** What the rows keep of all of them. */
  readonly kept: tf.Tensor4D
  /** Of a layer of the pass, of the positions before and of all. */
  past(layer: number): KeyValuePlaces | undefined
  present(layer: number): KeyValuePlaces
  readonly selfBias: BiasPlaces
  readonly memory: LayerMemory
  readonly memoryBias: BiasPlaces
}

interface EncoderLayer extends FeedForwardMatrices {
  readonly selfIn: RowMatrix
  readonly selfOut: RowMatrix
}

interface DecoderLayer extends EncoderLayer {
  readonly crossIn: RowMatrix
  readonly crossOut: RowMatrix
  readonly keyValue: RowMatrix
}

/** The kernels that {@link WasmSegments} of a model would run; undefined where there are none for it. */
export function kernelsFor({ dModel, dKv, dFf, feedForward }: ModelConfig): Kernels | undefined {
  const isWhole = (width: number) => width % LANES === 0
  const fits = isWhole(dModel) && isWhole(dKv) && (feedForward !== 'gated-gelu' || isWhole(dFf))
  return fits ? currentKernels() : undefined
}

/** Owns its workspace, not the weights. */
export class WasmSegments implements SegmentRunner {
  private readonly encoder: readonly EncoderLayer[]
  private readonly decoder: readonly DecoderLayer[]
  private readonly headWidth: number
  private readonly workspace: Workspace
  /** For one product, and what is found of it. */
  private readonly scratch: Room

  constructor(
    private readonly kernels: Kernels,
    private readonly model: WasmModel,
  ) {
    const { weights, shape } = model
    this.encoder = weights.encoder.layers.map(encoderLayer)
    this.decoder = weights.decoder.layers.map(decoderLayer)
    const matrices = [this.encoder[0], this.decoder[0]].flatMap(
      (layer) => Object.values(layer) as RowMatrix[],
    )
    this.headWidth = this.decoder[0].selfOut.shape[0] / shape.numHeads
    this.scratch = new Room(kernels)
    this.workspace = new Workspace(kernels, {
      width: weights.embedding.shape[1],
      widest: Math.max(...matrices.map(({ stride }) => stride)),
      ...shape,
    })
  }

  run({ from, to, hidden, groups, exit }: SegmentInput): SegmentOutput {
    const layers = this.decoder.slice(from, to)
    const lengths = groups.flatMap(({ first, numPositions, memory }) => [
      first + numPositions,
      ...layers.map((_, i) => memory.at(from + i).key.shape[2]),
    ])
    const numRows = hidden.reduce((sum, { count }) => sum + count, 0)
    const pass = this.workspace.begin(numRows, Math.max(...lengths))
    pass.load(hidden)
    const placed = this.place(groups, layers.length)
    for (const [i, layer] of layers.entries()) this.decoderLayer(pass, layer, placed, [i, from + i])
    const output = { hidden: pass.states(), present: placed.map(({ kept }) => [kept]) }
    if (!exit) return output
    if (exit.positions) pass.keepOnly(exit.positions)
    return { ...output, ...this.exit(pass, exit) }
  }

  crossKeyValue(layer: number, { states, numTokens }: SourceStates): KeyValue {
    const { kernels, headWidth, scratch } = this
    const { numHeads } = this.model.shape
    const [length, width] = states.shape
    const { keyValue } = this.decoder[layer]
    const { stride } = keyValue
    const projected = { at: scratch.reserve(FLOAT * length * stride), stride }
    keyValue.multiplyRows({ at: kernels.at(states), stride: width }, projected.at, numTokens)
    // Of zeros come zeros.
    kernels.clear(rowsFrom(projected, numTokens).at, FLOAT * (length - numTokens) * stride)
    const sizes = [1, numHeads, length, headWidth]
    const [key, value] = [kernels.make<tf.Tensor4D>(sizes), kernels.make<tf.Tensor4D>(sizes)]
    const present = { key: kernels.at(key), value: kernels.at(value), rowStride: 0 }
    const shape = { batch: 1, numHeads, headWidth, numPositions: length }
    appendKeyValues(kernels, shape, { projected, past: undefined, length, present })
    return { key, value }
  }

  encoderLayers(hidden: tf.Tensor2D, bias: tf.Tensor4D): tf.Tensor2D {
    const [length] = hidden.shape
    const { kernels, headWidth } = this
    const { numHeads } = this.model.shape
    const shape = { batch: 1, numHeads, headWidth, numPositions: length }
    const pass = this.workspace.begin(length, length)
    pass.load([{ states: hidden, start: 0, count: length }])
    const memory = this.keptPlaces(kernels.at(kernels.make([2, numHeads, length, headWidth])), length, 1, 0)
    const biasAt = kernels.at(bias)
    for (const layer of this.encoder) {
      const projected = pass.multiplyNormed(layer.selfIn)
      const keyValue = this.keyValueOf(projected)
      appendKeyValues(kernels, shape, { projected: keyValue, past: undefined, length, present: memory })
      const attended = pass.inner(layer.selfOut.shape[0])
      attend(kernels, shape, {
        queries: projected,
        attended,
        memory: { ...memory, length },
        bias: { at: biasAt, rowStride: 0, headStride: length * length, positionStride: length },
        room: pass.attention,
      })
      pass.addProduct(layer.selfOut, attended)
      pass.feedForward(layer)
    }
    return pass.states()
  }

  dispose(): void {
    this.workspace.dispose()
    this.scratch.dispose()
  }

  /** Groups of a pass through some layers, with room for what they keep. */
  private place(groups: readonly SegmentGroup[], numLayers: number): PlacedGroup[] {
    const { kernels, headWidth } = this
    const { numHeads } = this.model.shape
    // Grown before its place is asked for.
    for (const { first, numPositions } of groups) this.model.bias.block(first, numPositions)
    let start = 0
    return groups.map((group): PlacedGroup => {
      const { batch, numPositions, first, past, memory } = group
      const length = first + numPositions
      const kept = kernels.make<tf.Tensor4D>([batch, 2 * numLayers * numHeads, length, headWidth])
      const [present, before] = [kernels.at(kept), past && kernels.at(past[0])]
      const { bias } = memory
      const places = {
        shape: { batch, numHeads, headWidth, numPositions },
        start,
        length,
        kept,
        past: (layer: number) =>
          before === undefined ? undefined : this.keptPlaces(before, first, numLayers, layer),
        present: (layer: number) => this.keptPlaces(present, length, numLayers, layer),
        selfBias: this.selfBias(group),
        memory,
        memoryBias: bias
          ? { ...NO_BIAS, at: kernels.at(bias), rowStride: bias.shape[0] > 1 ? bias.shape[3] : 0 }
          : NO_BIAS,
      }
      start += batch * numPositions
      return places
    })
  }

  /** A layer over all rows, by its numbers in the pass and in the decoder. */
  private decoderLayer(
    pass: RowPass,
    layer: DecoderLayer,
    groups: readonly PlacedGroup[],
    [index, number]: readonly [number, number],
  ): void {
    const { kernels } = this
    const attended = pass.inner(layer.selfOut.shape[0])
    const projected = pass.multiplyNormed(layer.selfIn)
    for (const { shape, start, length, past, present, selfBias } of groups) {
      const rows = rowsFrom(projected, start)
      const own = present(index)
      appendKeyValues(kernels, shape, {
        projected: this.keyValueOf(rows),
        past: past(index),
        length,
        present: own,
      })
      attend(kernels, shape, {
        queries: rows,
        attended: rowsFrom(attended, start),
        memory: { ...own, length },
        bias: selfBias,
        room: pass.attention,
      })
    }
    pass.addProduct(layer.selfOut, attended)
    const queries = pass.multiplyNormed(layer.crossIn)
    for (const { shape, start, memory, memoryBias } of groups) {
      attend(kernels, shape, {
        queries: rowsFrom(queries, start),
        attended: rowsFrom(attended, start),
        memory: this.memoryPlaces(memory.at(number)),
        bias: memoryBias,
        room: pass.attention,
      })
    }
    pass.addProduct(layer.crossOut, attended)
    pass.feedForward(layer)
  }

  /** Of a layer in what rows keep of a segment: [B, L * 2 * H, T, K], keys and then values of each layer. */
  private keptPlaces(at: number, length: number, numLayers: number, layer: number): KeyValuePlaces {
    const size = this.model.shape.numHeads * length * this.headWidth
    const key = at + FLOAT * 2 * layer * size
    return { key, value: key + FLOAT * size, rowStride: 2 * numLayers * size }
  }

  private memoryPlaces({ key, value }: KeyValue): KeyValuePlaces & { readonly length: number } {
    const { kernels } = this
    const [batch, numHeads, length, headWidth] = key.shape
    const rowStride = batch === 1 ? 0 : numHeads * length * headWidth
    return { key: kernels.at(key), value: kernels.at(value), rowStride, length }
  }

  /** Position bias and causal mask lie in the lower right corner of a block [1, H, R, C]. */
  private selfBias({ first, numPositions }: SegmentGroup): BiasPlaces {
    const block = this.model.bias.block(first, numPositions)
    const [, , numRows, numColumns] = block.shape
    const [top, left] = [numRows - numPositions, numColumns - first - numPositions]
    return {
      at: this.kernels.at(block) + FLOAT * (top * numColumns + left),
      rowStride: 0,
      headStride: numRows * numColumns,
      positionStride: numColumns,
    }
  }

  /** Of rows that hold queries, keys and values beside each other, where the keys begin. */
  private keyValueOf({ at, stride }: Rows): Rows {
    return { at: at + FLOAT * this.model.shape.numHeads * this.headWidth, stride }
  }

  private exit(pass: RowPass, exit: SegmentExit): Omit<SegmentOutput, 'hidden' | 'present'> {
    const { choice, wantsLogits } = exit
    const { embedding, exit: weights } = this.model.weights
    const { head, proposal } = weights
    const [vocabSize] = embedding.shape
    if (choice === undefined || wantsLogits || !canChoose(vocabSize)) {
      return { logits: this.logits(pass.normedStates()) }
    }
    const { kernels, scratch } = this
    const { rows } = pass
    if (!(head instanceof tf.Tensor)) {
      const { stride } = rowMatrix(head)
      const at = scratch.reserve(FLOAT * rows * stride + choiceBytes(rows))
      rowMatrix(head).multiplyRows(pass.normed(), at, rows)
      const places = { logits: { at, stride }, found: at + FLOAT * rows * stride }
      return { choices: chooseRows(kernels, { ...places, rows, vocabSize, choice }) }
    }
    const choices = proposal?.choose(pass.normed(), rows, exit) ?? new Array<ExitChoice | undefined>(rows)
    const open = [...choices.keys()].filter((n) => !choices[n])
    if (open.length > 0) {
      const normed = pass.normedStates()
      const isWhole = open.length === rows
      const logits = this.logits(isWhole ? normed : tf.concat(open.map((n) => takeFirst(normed, n, 1))))
      const places = { logits: { at: kernels.at(logits), stride: vocabSize } }
      const exact = {
        ...places,
        rows: open.length,
        vocabSize,
        found: scratch.reserve(choiceBytes(rows)),
        choice,
      }
      for (const [i, chosen] of chooseRows(kernels, exact).entries()) choices[open[i]] = chosen
    }
    return { choices: choices as ExitChoice[] }
  }

  private logits(normed: tf.Tensor2D): tf.Tensor2D {
    const { head } = this.model.weights.exit
    if (!(head instanceof tf.Tensor)) return rowMatrix(head).multiply(normed)
    return this.kernels.multiply(normed, head) ?? tf.matMul(normed, head)
  }
}

const rowMatrix = (matrix: Linear) => matrix as RowMatrix

function commonParts(attention: SelfAttentionWeights, feedForward: FeedForwardWeights): EncoderLayer {
  return {
    selfIn: rowMatrix(attention.queryKeyValue),
    selfOut: rowMatrix(attention.output),
    feedIn: rowMatrix(feedForward.input),
    feedOut: rowMatrix(feedForward.output),
  }
}

function encoderLayer({ attention, feedForward }: EncoderLayerWeights): EncoderLayer {
  return commonParts(attention, feedForward)
}

function decoderLayer(layer: CachedLayerWeights): DecoderLayer {
  const { selfAttention, crossAttention, feedForward, keyValue } = layer
  return {
    ...commonParts(selfAttention, feedForward),
    crossIn: rowMatrix(crossAttention.query),
    crossOut: rowMatrix(crossAttention.output),
    keyValue: rowMatrix(keyValue),
  }
}
