// How a pass goes through a segment's layers and its exit: what goes in, what comes out, and the way of one operation after
// the other, which every backend has. graph/ and wasm/ have others.
import * as tf from '@tensorflow/tfjs'
import type { ExitChoice } from '../../decoding/index.js'
import { crossKeyValue, decoderLayer, encoderLayer, exitLogits, takeFirst } from '../../model/index.js'
import type { DecoderGroup, KeyValue, LayerShape } from '../../model/index.js'
import type { EncodedRow, LayerMemory } from './crossMemory.js'
import type { EngineWeights } from './decoderWeights.js'
import type { SegmentExit } from './segmentExit.js'
import type { PositionBias } from './positionBias.js'

/**
 * Keys and values that rows in step keep of a segment, as its runner lays them out: tensors [B, *, T, K], of each of which
 * rows and first positions may be taken.
 */
export type KeptStates = readonly tf.Tensor4D[]

/** Rows in step, for all layers of a segment: see {@link DecoderGroup} for the shapes. */
export interface SegmentGroup extends Pick<DecoderGroup, 'batch' | 'numPositions'> {
  /** Positions that each row has computed. */
  readonly first: number
  /** Of the {@link first} positions; undefined where there are none. */
  readonly past: KeptStates | undefined
  readonly memory: LayerMemory
}

/** `count` rows of states [*, D] from `start` on. */
export interface StateRows {
  readonly states: tf.Tensor2D
  readonly start: number
  readonly count: number
}

/** Positions that go through the decoder layers `from + 1` to `to`. */
export interface SegmentInput {
  readonly from: number
  readonly to: number
  /** The states of N positions, group after group. */
  readonly hidden: readonly StateRows[]
  readonly groups: readonly SegmentGroup[]
  /** Undefined: the exit is passed by. */
  readonly exit?: SegmentExit
}

export interface SegmentOutput {
  readonly hidden: tf.Tensor2D
  /** Of old and new positions, by group. */
  readonly present: readonly KeptStates[]
  /** [N, V] of the positions that are asked, where there are any and their choices are not there already. */
  readonly logits?: tf.Tensor2D
  /** The choice that was asked for, packed as `readChoices` reads it, if it is there already. */
  readonly packed?: tf.Tensor
  /** The choices themselves, if they are there already. */
  readonly choices?: readonly ExitChoice[]
}

/** What layers read of a source. */
export type SourceStates = Pick<EncodedRow, 'states' | 'numTokens'>

/** Computes the layers of one model. */
export interface SegmentRunner {
  /** Call it inside a tidy; the caller owns what comes out. */
  run(input: SegmentInput): SegmentOutput
  /**
   * What the cross-attention of a layer, counted from 0, reads of a source: [1, H, M, K]. Call it inside a tidy; the caller
   * owns what comes out.
   */
  crossKeyValue(layer: number, source: SourceStates): KeyValue
  /** All layers of the encoder: states [M, D] with a bias [1, H, M, M] -> [M, D]. Call it inside a tidy. */
  encoderLayers(hidden: tf.Tensor2D, bias: tf.Tensor4D): tf.Tensor2D
  /** Frees what it keeps, which the weights are no part of. */
  dispose(): void
}

/** All of them one after the other, [N, D]. Call it inside a tidy. */
export function joinStates(parts: readonly StateRows[]): tf.Tensor2D {
  const taken = parts.map(({ states, start, count }) => takeFirst(states, start, count))
  return taken.length === 1 ? taken[0] : tf.concat(taken)
}

/** Of states [N, D] those at some positions, or all. Call it inside a tidy. */
export function statesAt(hidden: tf.Tensor2D, positions: readonly number[] | undefined): tf.Tensor2D {
  return positions ? tf.gather(hidden, tf.tensor1d([...positions], 'int32')) : hidden
}

/** One operation after the other. */
export class EagerSegments implements SegmentRunner {
  constructor(
    private readonly weights: EngineWeights,
    private readonly bias: PositionBias,
    private readonly shape: LayerShape,
  ) {}

  run({ from, to, groups, exit, ...input }: SegmentInput): SegmentOutput {
    const { decoder, exit: head } = this.weights
    const biases = groups.map(({ first, numPositions }) => this.bias.slice(first, numPositions))
    let hidden = joinStates(input.hidden)
    const byLayer = decoder.layers.slice(from, to).map((layer, i) => {
      const output = decoderLayer(hidden, layer, {
        ...this.shape,
        groups: groups.map(({ batch, numPositions, past, memory }, j): DecoderGroup => ({
          batch,
          numPositions,
          selfBias: biases[j],
          past: past && { key: past[2 * i], value: past[2 * i + 1] },
          memory: memory.at(from + i),
          memoryBias: memory.bias,
        })),
      })
      hidden = output.hidden
      return output.present
    })
    const present = groups.map((_, j) => byLayer.flatMap((layer) => [layer[j].key, layer[j].value]))
    if (!exit) return { hidden, present }
    // The scale of v1.0 is in the head already.
    const options = { epsilon: this.shape.epsilon, scaleLogits: false }
    return { hidden, present, logits: exitLogits(statesAt(hidden, exit.positions), head, options) }
  }

  crossKeyValue(layer: number, { states }: SourceStates): KeyValue {
    const { keyValue } = this.weights.decoder.layers[layer]
    return crossKeyValue(states, keyValue, { batch: 1, numHeads: this.shape.numHeads })
  }

  encoderLayers(hidden: tf.Tensor2D, bias: tf.Tensor4D): tf.Tensor2D {
    const { layers } = this.weights.encoder
    return layers.reduce((x, weights) => encoderLayer(x, weights, { ...this.shape, batch: 1, bias }), hidden)
  }

  dispose(): void {}
}
