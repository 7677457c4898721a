// Float32 matrices in the order in which the kernel for a few rows reads them fastest.
import * as tf from '@tensorflow/tfjs'
import type { HostWeight } from '../../../model/index.js'
import { LANES, type Kernels } from './kernels.js'
import { RowMatrix, strideOf, wholeLanes } from './rowMatrix.js'
import type { Rows } from './rows.js'

/** To the last bit what tfjs computes: each sum is in the order of A. */
export class PackedMatrix extends RowMatrix {
  /** Packs it onto the kernels' backend. The caller disposes it. */
  constructor(kernels: Kernels, weight: HostWeight) {
    super(kernels, weight.shape, tf.keep(tf.tensor1d(pack(weight))))
  }

  multiplyRows(x: Rows, out: number, rows: number): void {
    this.share('multiplyPacked', x, out, rows)
  }
}

/** Four columns after four, each with rows up to whole fours. */
function pack({ data, shape: [depth, width] }: HostWeight): Float32Array {
  const packed = new Float32Array(wholeLanes(depth) * strideOf(width))
  for (let column = 0, start = 0; column < width; column += LANES, start += LANES * wholeLanes(depth)) {
    for (let row = 0, at = start; row < depth; row++, at += LANES) {
      const from = row * width + column
      for (let i = 0; i < LANES && column + i < width; i++) packed[at + i] = data[from + i]
    }
  }
  return packed
}
