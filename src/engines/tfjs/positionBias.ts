// The decoder's position bias and causal mask for any pass, cut out of one block: the bias depends on the distance of
// two positions only, so that every pass finds its own in the block's lower right corner.
import * as tf from '@tensorflow/tfjs'
import type { BucketOptions } from '../../config/index.js'
import { relativeBias } from '../../model/index.js'

/** Owns its block, which grows as longer passes ask for it; one tensor at any time until `dispose`. */
export class PositionBias {
  /** [1, H, P, T] of the last P of T positions. */
  private grown: tf.Tensor4D

  /** @param table relative position bias of the decoder [buckets, H]; stays the caller's */
  constructor(
    private readonly table: tf.Tensor2D,
    private readonly buckets: BucketOptions,
  ) {
    this.grown = this.make(8, 64)
  }

  /** Bias [1, H, P, start + P] of `length` = P queries from position `start` on. The caller disposes it. */
  slice(start: number, length: number): tf.Tensor4D {
    const memory = start + length
    const block = this.block(start, length)
    const [, numHeads, rows, columns] = block.shape
    return tf.slice(block, [0, 0, rows - length, columns - memory], [1, numHeads, length, memory])
  }

  /** The same bias in the lower right corner of a larger one, which stays this object's and may be gone after the next call. */
  block(start: number, length: number): tf.Tensor4D {
    const memory = start + length
    let [, , rows, columns] = this.grown.shape
    if (rows < length || columns < memory) {
      while (rows < length) rows *= 2
      while (columns < memory) columns *= 2
      this.grown.dispose()
      this.grown = this.make(rows, columns)
    }
    return this.grown
  }

  dispose(): void {
    this.grown.dispose()
  }

  private make(rows: number, columns: number): tf.Tensor4D {
    const span = { queryStart: columns - rows, queryLength: rows, memoryLength: columns }
    return tf.keep(relativeBias(this.table, span, { ...this.buckets, causal: true }))
  }
}
