// Attention of a group of rows in step: B rows, P positions each, N = B * P, H heads of width K. Places are byte offsets.
import type { Kernels } from './kernels.js'
import { FLOAT, rowsFrom, type Rows } from './rows.js'

export interface AttentionShape {
  readonly batch: number
  readonly numHeads: number
  readonly headWidth: number
  readonly numPositions: number
}

/** Keys and values of some positions, each [H, T, K] in every row. */
export interface KeyValuePlaces {
  readonly key: number
  readonly value: number
  /** How many floats one row's are from the next one's; 0: all rows have the same. */
  readonly rowStride: number
}

/** What is added to scores, `length` floats for each position of each head of a row. */
export interface BiasPlaces {
  /** 0: nothing is added. */
  readonly at: number
  /** How many floats they are apart from row to row, head to head and position to position. */
  readonly rowStride: number
  readonly headStride: number
  readonly positionStride: number
}

/** Of nothing. */
export const NO_BIAS: BiasPlaces = { at: 0, rowStride: 0, headStride: 0, positionStride: 0 }

/**
 * Keys and values of all positions into `present`: those of `past`, the first T - P of them, and those of `projected`, whose rows [N, 2 * H * K] hold both beside each other.
 */
export function appendKeyValues(
  kernels: Kernels,
  { batch, numHeads, headWidth, numPositions }: AttentionShape,
  job: {
    readonly projected: Rows
    readonly past: KeyValuePlaces | undefined
    /** T. */
    readonly length: number
    readonly present: KeyValuePlaces
  },
): void {
  const { projected, past, length, present } = job
  const width = numHeads * headWidth
  const before = length - numPositions
  for (let row = 0; row < batch; row++) {
    const from = rowsFrom(projected, row * numPositions).at
    const [old, all] = [past ? FLOAT * row * past.rowStride : 0, FLOAT * row * present.rowStride]
    const sizes = [FLOAT * projected.stride, numHeads, before, numPositions, headWidth] as const
    kernels.run.append(past ? past.key + old : 0, present.key + all, from, ...sizes)
    kernels.run.append(past ? past.value + old : 0, present.value + all, from + FLOAT * width, ...sizes)
  }
}

/**
 * Every query by itself over keys and values of `length` positions. A position gets the same to the last bit whatever rows
 * and masked positions are beside it.
 */
export function attend(
  kernels: Kernels,
  { batch, numHeads, headWidth, numPositions }: AttentionShape,
  job: {
    /** [N, H * K] at the start of its rows; `attended` likewise. */
    readonly queries: Rows
    readonly attended: Rows
    readonly memory: KeyValuePlaces & { readonly length: number }
    readonly bias: BiasPlaces
    /** Room for `length` + 4 floats. */
    readonly scores: number
  },
): void {
  const { queries, attended, memory, bias, scores } = job
  for (let row = 0; row < batch; row++) {
    kernels.run.attend(
      rowsFrom(queries, row * numPositions).at,
      FLOAT * queries.stride,
      memory.key + FLOAT * row * memory.rowStride,
      memory.value + FLOAT * row * memory.rowStride,
      bias.at + FLOAT * row * bias.rowStride,
      FLOAT * bias.headStride,
      FLOAT * bias.positionStride,
      scores,
      rowsFrom(attended, row * numPositions).at,
      FLOAT * attended.stride,
      numHeads,
      numPositions,
      memory.length,
      headWidth,
    )
  }
}
