// Float32 matrices in the order in which the kernel for a few rows reads them fastest.
import * as tf from '@tensorflow/tfjs'
import type { HostWeight } from '../../../model/index.js'
import { LANES, type Kernels } from './kernels.js'
import { multiplyTensor, numBlocksOf, strideOf, wholeLanes, type RowMatrix } from './rowMatrix.js'
import { FLOAT, type Rows } from './rows.js'

/** To the last bit what tfjs computes: each sum is in the order of A. */
export class PackedMatrix implements RowMatrix {
  readonly shape: readonly [number, number]
  readonly stride: number
  private readonly data: tf.Tensor1D
  private readonly at: number

  /** Packs it onto the kernels' backend. The caller disposes it. */
  constructor(
    private readonly kernels: Kernels,
    { data, shape }: HostWeight,
  ) {
    const [depth, width] = shape
    this.shape = [depth, width]
    this.stride = strideOf(width)
    // Four columns after four, each with rows up to whole fours.
    const packed = new Float32Array(wholeLanes(depth) * this.stride)
    for (let column = 0, start = 0; column < width; column += LANES, start += LANES * wholeLanes(depth)) {
      for (let row = 0, at = start; row < depth; row++, at += LANES) {
        const from = row * width + column
        for (let i = 0; i < LANES && column + i < width; i++) packed[at + i] = data[from + i]
      }
    }
    this.data = tf.keep(tf.tensor1d(packed))
    this.at = kernels.at(this.data)
  }

  multiply(x: tf.Tensor2D): tf.Tensor2D {
    return multiplyTensor(this.kernels, this, x)
  }

  multiplyRows(x: Rows, out: number, rows: number): void {
    const { kernels, at, shape, stride } = this
    const depth = wholeLanes(shape[0])
    kernels.share('multiplyPacked', {
      x,
      right: at,
      out: { at: out, stride },
      rows,
      depth,
      numBlocks: numBlocksOf(this),
      numBytes: FLOAT * depth * stride,
    })
  }

  dispose(): void {
    this.data.dispose()
  }
}
