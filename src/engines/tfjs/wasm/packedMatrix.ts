// Matrices in the order in which the kernel for a few rows reads them fastest.
import * as tf from '@tensorflow/tfjs'
import type { FixedMatrix, HostWeight, ProductEnd } from '../../../model/index.js'
import { LANES, type Kernels } from './kernels.js'
import { FLOAT, type Rows } from './rows.js'

/** Columns of a group: see scripts/wasm/kernels.ts. */
const GROUP = 64

/**
 * A matrix [A, C] that is read only by products with rows from the left. To the last bit what tfjs computes: each sum is in
 * the order of A.
 */
export class PackedMatrix implements FixedMatrix {
  readonly shape: readonly [number, number]
  /** Floats of a row of the product: C and zeros up to whole groups. */
  readonly stride: number
  private readonly data: tf.Tensor1D

  /** Packs it onto the kernels' backend. The caller disposes it. */
  constructor(
    private readonly kernels: Kernels,
    { data, shape }: HostWeight,
  ) {
    const [depth, width] = shape
    this.shape = [depth, width]
    this.stride = strideOf(width)
    const packed = new Float32Array(depth * this.stride)
    for (let column = 0, at = 0; column < width; column += LANES) {
      for (let row = 0; row < depth; row++, at += LANES) {
        const from = row * width + column
        for (let i = 0; i < LANES && column + i < width; i++) packed[at + i] = data[from + i]
      }
    }
    this.data = tf.keep(tf.tensor1d(packed))
  }

  /** x [N, A] -> [N, C], and what is done to it. Call it inside a tidy. */
  multiply(x: tf.Tensor2D, { added, relu = false }: ProductEnd = {}): tf.Tensor2D {
    const { kernels, shape, stride } = this
    const [rows, depth] = x.shape
    const width = shape[1]
    const out = kernels.make<tf.Tensor2D>([rows, width])
    if (rows === 0) return out
    const to = { at: kernels.at(out), stride: width }
    if (stride === width) {
      this.multiplyRows({ at: kernels.at(x), stride: depth }, to.at, rows)
    } else {
      const wide = { at: kernels.allocate(FLOAT * rows * stride), stride }
      this.multiplyRows({ at: kernels.at(x), stride: depth }, wide.at, rows)
      kernels.copyRows(to, wide, { rows, width })
      kernels.free(wide.at)
    }
    if (out.size % LANES > 0) {
      const sum = added ? tf.add<tf.Tensor2D>(added, out) : out
      return relu ? tf.relu(sum) : sum
    }
    if (added) kernels.run.add(to.at, kernels.at(added), out.size)
    if (relu) kernels.run.relu(to.at, out.size)
    return out
  }

  /** Rows of x to rows at a byte offset, {@link stride} floats apart. */
  multiplyRows(x: Rows, out: number, rows: number): void {
    const { kernels, data, shape, stride } = this
    kernels.share('multiplyPacked', {
      ...{ x: x.at, xStride: FLOAT * x.stride, matrix: kernels.at(data), out, outStride: FLOAT * stride },
      ...{ rows, depth: shape[0], groups: stride / GROUP, numBytes: FLOAT * shape[0] * stride },
    })
  }

  /** Idempotent. */
  dispose(): void {
    this.data.dispose()
  }
}

/** A width and what it takes to whole groups. */
export function strideOf(width: number): number {
  return Math.ceil(width / GROUP) * GROUP
}
