// Rows as 8-bit matrices take them: whole numbers of 16 bits, with a scale a row.
import type { Kernels } from './kernels.js'
import { wholeLanes } from './rowMatrix.js'
import { Room } from './room.js'
import { FLOAT, rowsFrom, type Rows } from './rows.js'

/** Bytes before the numbers of a row: see scripts/wasm/kernels.ts. */
const ROW_HEAD = 16
/** The largest magnitude of a matrix's numbers. */
export const LARGEST_BYTE = 127

/** What a row was, and what is lost of it, as lengths. */
export interface RowLengths {
  readonly length: number
  readonly off: number
}

/** Room for the rows of one product at a time; it grows as larger ones come. */
export class QuantisedRows {
  private readonly room: Room

  constructor(private readonly kernels: Kernels) {
    this.room = new Room(kernels)
  }

  /**
   * Rows of `depth` floats, zeros up to whole fours. What an earlier call made is gone. A row that holds what is no number
   * gives products that are none.
   */
  make(x: Rows, rows: number, depth: number): Rows {
    const { kernels } = this
    const whole = wholeLanes(depth)
    const numFloats = Math.ceil((ROW_HEAD + 2 * whole) / ROW_HEAD) * (ROW_HEAD / FLOAT)
    const made = { at: this.room.reserve(FLOAT * rows * numFloats), stride: numFloats }
    kernels.run.quantise(x.at, FLOAT * x.stride, made.at, FLOAT * numFloats, rows, whole, stepsFor(whole))
    return made
  }

  /** Of the `n`th one of what {@link make} made; they come of sums in float32. */
  lengths(made: Rows, n: number): RowLengths {
    const { heap } = this.kernels
    const at = rowsFrom(made, n).at / FLOAT
    return { length: Math.sqrt(heap[at + 1]), off: Math.sqrt(heap[at + 2]) }
  }

  dispose(): void {
    this.room.dispose()
  }
}

/** The largest number of a row: as large as sums of products may become without leaving 32 bits. */
function stepsFor(depth: number): number {
  return Math.min(2 ** 15 - 1, Math.floor((2 ** 31 - 1) / (LARGEST_BYTE * depth)))
}
