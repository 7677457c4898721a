// The decoder's position bias and causal mask for any pass, cut out of one block: the bias depends on the distance of
// two positions only, so that every pass finds its own in the block's lower right corner.
import * as tf from '@tensorflow/tfjs'
import type { BucketOptions } from '../../config/index.js'
import { relativeBias } from '../../model/index.js'

/** Owns its block, which grows as longer passes ask for it; one tensor at any time until `dispose`. */
export class PositionBias {
  /** [1, H, P, T] of the last P of T positions. */
  private block: tf.Tensor4D

  /** @param table relative position bias of the decoder [buckets, H]; stays the caller's */
  constructor(
    private readonly table: tf.Tensor2D,
    private readonly buckets: BucketOptions,
  ) {
    this.block = this.make(8, 64)
  }

  /** Bias [1, H, P, start + P] of `length` = P queries from position `start` on. The caller disposes it. */
  slice(start: number, length: number): tf.Tensor4D {
    const memory = start + length
    const numHeads = this.block.shape[1]
    let [, , rows, columns] = this.block.shape
    if (rows < length || columns < memory) {
      while (rows < length) rows *= 2
      while (columns < memory) columns *= 2
      this.block.dispose()
      this.block = this.make(rows, columns)
    }
    return tf.slice(this.block, [0, 0, rows - length, columns - memory], [1, numHeads, length, memory])
  }

  dispose(): void {
    this.block.dispose()
  }

  private make(rows: number, columns: number): tf.Tensor4D {
    const span = { queryStart: columns - rows, queryLength: rows, memoryLength: columns }
    return tf.keep(relativeBias(this.table, span, { ...this.buckets, causal: true }))
  }
}
