// Where the rows of a pass stand while it goes through layers, and what layers do with them. Every row by itself: what
// it becomes does not depend on the others.
import type * as tf from '@tensorflow/tfjs'
import type { StateRows } from '../segments.js'
import { attentionBytes } from './attention.js'
import type { Kernels } from './kernels.js'
import { strideOf, type RowMatrix } from './rowMatrix.js'
import { Room } from './room.js'
import { FLOAT, rowsFrom, type Rows } from './rows.js'

/** Matrices of a feed-forward sub-layer. */
export interface FeedForwardMatrices {
  readonly feedIn: RowMatrix
  readonly feedOut: RowMatrix
}

export interface WorkspaceShape {
  /** Of the model. */
  readonly width: number
  /** Of the widest product, in whole groups. */
  readonly widest: number
  readonly numHeads: number
  readonly epsilon: number
  readonly gated: boolean
}

/** Memory for one pass at a time; it grows as larger ones come. */
export class Workspace {
  private readonly room: Room

  constructor(
    private readonly kernels: Kernels,
    private readonly shape: WorkspaceShape,
  ) {
    this.room = new Room(kernels)
  }

  /** For so many rows that attend to so many positions. What an earlier pass holds is gone. */
  begin(rows: number, length: number): RowPass {
    const { kernels, shape } = this
    const strides = [strideOf(shape.width), strideOf(shape.width), shape.widest, shape.widest]
    const sizes = strides.map((stride) => rows * stride)
    const numBytes = FLOAT * sizes.reduce((sum, size) => sum + size) + attentionBytes(shape.numHeads, length)
    let next = this.room.reserve(numBytes)
    const [hidden, normed, wide, inner] = strides.map((stride, i): Rows => {
      const at = next
      next += FLOAT * sizes[i]
      return { at, stride }
    })
    return new RowPass(kernels, shape, rows, { hidden, normed, wide, inner, attention: next })
  }

  dispose(): void {
    this.room.dispose()
  }
}

/** N rows on their way. */
export class RowPass {
  constructor(
    private readonly kernels: Kernels,
    private readonly shape: WorkspaceShape,
    private numRows: number,
    private readonly places: {
      /** Of the model's width, zeros up to the stride. */
      readonly hidden: Rows
      readonly normed: Rows
      readonly wide: Rows
      readonly inner: Rows
      readonly attention: number
    },
  ) {}

  /** N. */
  get rows(): number {
    return this.numRows
  }

  /** Room for an attention. */
  get attention(): number {
    return this.places.attention
  }

  /** Starts from the states of N positions. */
  load(parts: readonly StateRows[]): void {
    const { kernels, rows, shape } = this
    const { width } = shape
    const { hidden } = this.places
    // What was there before would go into the norms.
    if (hidden.stride > width) kernels.clear(hidden.at, FLOAT * rows * hidden.stride)
    let next = 0
    for (const { states, start, count } of parts) {
      const from = rowsFrom({ at: kernels.at(states), stride: width }, start)
      kernels.copyRows(rowsFrom(hidden, next), from, { rows: count, width })
      next += count
    }
  }

  /** Goes on with some of the rows, given rising, alone. */
  keepOnly(kept: readonly number[]): void {
    const { hidden } = this.places
    for (const [to, from] of kept.entries()) {
      if (to < from) {
        this.kernels.copyRows(rowsFrom(hidden, to), rowsFrom(hidden, from), { rows: 1, width: hidden.stride })
      }
    }
    this.numRows = kept.length
  }

  /** The states as they are now: [N, D]. */
  states(): tf.Tensor2D {
    return this.tensorOf(this.places.hidden, this.shape.width)
  }

  /** The same after the norm: [N, D]. */
  normedStates(): tf.Tensor2D {
    return this.tensorOf(this.normed(), this.shape.width)
  }

  /** Their rows, until the next product. */
  normed(): Rows {
    this.normalise()
    return this.places.normed
  }

  /** A matrix with the normed states. What it gives stays until the next product of this kind. */
  multiplyNormed(matrix: RowMatrix): Rows {
    return this.multiply(matrix, this.normed())
  }

  /** A matrix with rows of any kind; as {@link multiplyNormed}. */
  multiply(matrix: RowMatrix, x: Rows): Rows {
    const { wide } = this.places
    matrix.multiplyRows(x, wide.at, this.rows)
    return { at: wide.at, stride: matrix.stride }
  }

  /** Room for rows that are made of a product. */
  inner(width: number): Rows {
    return { at: this.places.inner.at, stride: width }
  }

  /** Adds a product to the states; the normed ones, which nobody needs any more, take it up first. */
  addProduct(matrix: RowMatrix, x: Rows): void {
    const { hidden, normed } = this.places
    matrix.multiplyRows(x, normed.at, this.rows)
    this.kernels.run.add(hidden.at, normed.at, this.rows * hidden.stride)
  }

  /** The feed-forward sub-layer with its residual. */
  feedForward({ feedIn, feedOut }: FeedForwardMatrices): void {
    const { kernels, rows, shape } = this
    const product = this.multiplyNormed(feedIn)
    if (!shape.gated) {
      kernels.run.relu(product.at, rows * product.stride)
      return this.addProduct(feedOut, product)
    }
    const gated = this.inner(feedOut.shape[0])
    const [from, to] = [FLOAT * product.stride, FLOAT * gated.stride]
    kernels.run.gate(product.at, from, gated.at, to, rows, FLOAT * gated.stride)
    this.addProduct(feedOut, gated)
  }

  private normalise(): void {
    const { hidden, normed } = this.places
    const { width, epsilon } = this.shape
    this.kernels.run.lengthNorm(hidden.at, normed.at, this.rows, hidden.stride, width * epsilon)
  }

  private tensorOf(from: Rows, width: number): tf.Tensor2D {
    const { kernels, rows } = this
    const tensor = kernels.make<tf.Tensor2D>([rows, width])
    kernels.copyRows({ at: kernels.at(tensor), stride: width }, from, { rows, width })
    return tensor
  }
}
