// One encoded source, and what cross-attention reads of it: keys and values of each layer, made when first needed, so
// that layers that never run cost nothing.
import * as tf from '@tensorflow/tfjs'
import { crossKeyValue } from '../../model/index.js'
import type { KeyValue } from '../../model/index.js'
import type { CachedLayerWeights } from './decoderWeights.js'

/** One encoded source; its owner disposes both tensors. */
export interface EncodedRow {
  /** Encoder output [M, D]. */
  readonly states: tf.Tensor2D
  /** Padding mask [1, 1, 1, M]. */
  readonly bias: tf.Tensor4D
}

/** Keys and values of a row by decoder layer; owns them, not the source. */
export class CrossMemory {
  private readonly keyValues = new Map<number, KeyValue>()

  constructor(
    readonly source: EncodedRow,
    private readonly layers: readonly CachedLayerWeights[],
    private readonly numHeads: number,
  ) {}

  /** key [1, H, K, M], value [1, H, M, K] of a decoder layer, counted from 0; stay this object's. */
  at(layer: number): KeyValue {
    const known = this.keyValues.get(layer)
    if (known) return known
    const made = tf.tidy(() => {
      const { key, value } = crossKeyValue(this.source.states, this.layers[layer].keyValue, {
        batch: 1,
        numHeads: this.numHeads,
      })
      return { key: tf.keep(key), value: tf.keep(value) }
    })
    this.keyValues.set(layer, made)
    return made
  }

  dispose(): void {
    for (const { key, value } of this.keyValues.values()) tf.dispose([key, value])
    this.keyValues.clear()
  }
}
