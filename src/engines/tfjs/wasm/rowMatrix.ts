// Matrices as layers read them on wasm: by products with a few rows from the left.
import * as tf from '@tensorflow/tfjs'
import type { FixedMatrix } from '../../../model/index.js'
import { LANES, type Kernels } from './kernels.js'
import { FLOAT, type Rows } from './rows.js'

/** Parts of a matrix that are read side by side, and columns of each at a time: see scripts/wasm/kernels.ts. */
const [STREAMS, COLUMNS] = [8, 4]

/** A matrix [A, C]. A row of a product does not depend on the rows beside it, nor on how many threads there are. */
export abstract class RowMatrix implements FixedMatrix {
  readonly shape: readonly [number, number]
  /** Floats of a row of the product: C and zeros up to {@link strideOf}. */
  readonly stride: number
  /** Where `data` lies, a byte offset. */
  protected readonly at: number

  /** @param data as the matrix's kernel reads it, on the kernels' backend; the matrix's from here on */
  constructor(
    protected readonly kernels: Kernels,
    [depth, width]: readonly number[],
    private readonly data: tf.Tensor1D,
  ) {
    this.shape = [depth, width]
    this.stride = strideOf(width)
    this.at = kernels.at(data)
  }

  /** Rows of x, zeros from A up to whole fours, to rows at a byte offset, {@link stride} floats apart. */
  abstract multiplyRows(x: Rows, out: number, rows: number): void

  /** x [N, A] -> [N, C]. Call it inside a tidy. */
  multiply(x: tf.Tensor2D): tf.Tensor2D {
    const { kernels, shape, stride } = this
    const [rows, depth] = x.shape
    const width = shape[1]
    const out = kernels.make<tf.Tensor2D>([rows, width])
    if (rows === 0) return out
    const whole = wholeLanes(depth)
    const padded = whole === depth ? x : tf.pad(x, [[0, 0], [0, whole - depth]]) // prettier-ignore
    const from = { at: kernels.at(padded), stride: whole }
    const to = { at: kernels.at(out), stride: width }
    if (stride === width) {
      this.multiplyRows(from, to.at, rows)
      return out
    }
    const wide = { at: kernels.allocate(FLOAT * rows * stride), stride }
    this.multiplyRows(from, wide.at, rows)
    kernels.copyRows(to, wide, { rows, width })
    kernels.free(wide.at)
    return out
  }

  /** Idempotent. */
  dispose(): void {
    this.data.dispose()
  }

  /** By the kernel for its kind, with the threads that help. */
  protected share(kind: 'multiplyPacked' | 'multiplyQuantised', x: Rows, out: number, rows: number): void {
    const { kernels, at, data, shape, stride } = this
    kernels.share(kind, {
      x,
      right: at,
      out: { at: out, stride },
      rows,
      depth: wholeLanes(shape[0]),
      numBlocks: stride / (STREAMS * COLUMNS),
      numBytes: FLOAT * data.size,
    })
  }
}

/** A width and what it takes to parts of equal size, of whole blocks each. */
export function strideOf(width: number): number {
  return Math.ceil(width / (STREAMS * COLUMNS)) * STREAMS * COLUMNS
}

/** A width and what it takes to what kernels take at once. */
export function wholeLanes(width: number): number {
  return Math.ceil(width / LANES) * LANES
}
