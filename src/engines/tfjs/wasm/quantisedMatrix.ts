// Matrices in 8 bits, with a float32 scale a column. Rows are quantised too, each by itself and to more bits than that; sums
// are of whole numbers, and exact: they do not depend on an order.
import * as tf from '@tensorflow/tfjs'
import type { HostWeight } from '../../../model/index.js'
import type { Kernels } from './kernels.js'
import { LARGEST_BYTE, type QuantisedRows } from './quantisedRows.js'
import { RowMatrix, strideOf, wholeLanes } from './rowMatrix.js'
import { FLOAT, type Rows } from './rows.js'

/** Columns that lie together, and rows of them. */
const [COLUMNS, PAIR] = [4, 2]
/** Columns that are packed at a time, so that what is written stays at hand. */
const TILE = 64

export class QuantisedMatrix extends RowMatrix {
  /** Packs it onto the kernels' backend. The caller disposes it. `inputs`: room for a product's rows, the caller's. */
  constructor(
    kernels: Kernels,
    private readonly inputs: QuantisedRows,
    weight: HostWeight,
  ) {
    super(kernels, weight.shape, tf.keep(tf.tensor1d(new Int32Array(pack(weight)), 'int32')))
  }

  multiplyRows(x: Rows, out: number, rows: number): void {
    this.multiplyQuantised(this.inputs.make(x, rows, this.shape[0]), out, rows)
  }

  /** As {@link multiplyRows}, of rows that are quantised already. */
  multiplyQuantised(x: Rows, out: number, rows: number): void {
    this.share('multiplyQuantised', x, out, rows)
  }
}

/** A number in steps of a scale. */
export function byteOf(value: number, scale: number): number {
  return scale > 0 ? Math.max(-LARGEST_BYTE, Math.min(LARGEST_BYTE, Math.round(value / scale))) : 0
}

/** The step of each column of a matrix: that of its largest magnitude. Not a number where the column holds none. */
export function scalesOf({ data, shape }: HostWeight): Float32Array<ArrayBuffer> {
  const width = shape[1]
  const scales = new Float32Array(width)
  for (let i = 0; i < data.length;) {
    for (let column = 0; column < width; column++, i++) {
      scales[column] = Math.max(scales[column], Math.abs(data[i]))
    }
  }
  return scales.map((most) => most / LARGEST_BYTE)
}

/** As `multiplyQuantised` reads it: scales, then four columns after four. */
function pack(weight: HostWeight): ArrayBuffer {
  const { data, shape } = weight
  const [depth, width] = shape
  const scales = scalesOf(weight)
  const stride = strideOf(width)
  const columnsBytes = COLUMNS * wholeLanes(depth)
  const packed = new ArrayBuffer(FLOAT * stride + (stride / COLUMNS) * columnsBytes)
  new Float32Array(packed, 0, stride).set(scales)
  const bytes = new Int8Array(packed, FLOAT * stride)
  for (let start = 0; start < width; start += TILE) {
    for (let row = 0; row < depth; row++) {
      const from = row * width
      let to = (start / COLUMNS) * columnsBytes + COLUMNS * (row - (row % PAIR)) + (row % PAIR)
      for (let column = start; column < Math.min(start + TILE, width); to += columnsBytes) {
        const end = Math.min(column + COLUMNS, width)
        for (let byte = to; column < end; column++, byte += PAIR) {
          bytes[byte] = byteOf(data[from + column], scales[column])
        }
      }
    }
  }
  return packed
}
