// What cross-attention reads: keys and values of each layer of an encoded source, made when first needed, so that layers
// that never run cost nothing; and those of several sources beside each other, for rows that go through a pass together.
import * as tf from '@tensorflow/tfjs'
import type { KeyValue } from '../../model/index.js'

/** One encoded source, padded to a length that others have too; its owner disposes the tensors. */
export interface EncodedRow {
  /** Encoder output [M, D], zeros from {@link numTokens} on. */
  readonly states: tf.Tensor2D
  readonly numTokens: number
  /** Padding mask [1, 1, 1, M]; undefined where nothing is to be masked. */
  readonly bias: tf.Tensor4D | undefined
}

/** Keys and values by decoder layer, counted from 0: [B, H, M, K], and their mask. They stay the object's. */
export interface LayerMemory {
  readonly bias: tf.Tensor4D | undefined
  at(layer: number): KeyValue
}

/** What one source has to say, B = 1; owns the keys and values, not the source. */
export class CrossMemory implements LayerMemory {
  private readonly keyValues = new Map<number, KeyValue>()

  constructor(
    readonly source: EncodedRow,
    /** What a layer reads of it. */
    private readonly keyValueOf: (layer: number, source: EncodedRow) => KeyValue,
  ) {}

  get length(): number {
    return this.source.states.shape[0]
  }

  get bias(): tf.Tensor4D | undefined {
    return this.source.bias
  }

  at(layer: number): KeyValue {
    return getOrMake(this.keyValues, layer, () => this.keyValueOf(layer, this.source))
  }

  dispose(): void {
    disposeAll(this.keyValues)
  }
}

/** Sources of one length beside each other, in the order of the rows that read them. Owns copies. */
export class JoinedMemory implements LayerMemory {
  readonly bias: tf.Tensor4D | undefined
  private readonly keyValues = new Map<number, KeyValue>()

  constructor(private readonly memories: readonly CrossMemory[]) {
    const isMasked = memories.some(({ bias }) => bias)
    const zeros = (): tf.Tensor4D => tf.zeros([1, 1, 1, memories[0].length])
    this.bias = isMasked
      ? tf.keep(tf.tidy(() => tf.concat(memories.map(({ bias }) => bias ?? zeros()))))
      : undefined
  }

  at(layer: number): KeyValue {
    return getOrMake(this.keyValues, layer, () => {
      const parts = this.memories.map((memory) => memory.at(layer))
      return {
        key: tf.concat(parts.map(({ key }) => key)),
        value: tf.concat(parts.map(({ value }) => value)),
      }
    })
  }

  dispose(): void {
    disposeAll(this.keyValues)
    this.bias?.dispose()
  }
}

function getOrMake(known: Map<number, KeyValue>, layer: number, make: () => KeyValue): KeyValue {
  const found = known.get(layer)
  if (found) return found
  const made = tf.tidy(() => {
    const { key, value } = make()
    return { key: tf.keep(key), value: tf.keep(value) }
  })
  known.set(layer, made)
  return made
}

function disposeAll(keyValues: Map<number, KeyValue>): void {
  for (const { key, value } of keyValues.values()) tf.dispose([key, value])
  keyValues.clear()
}
