// Attention of a group of rows in step: B rows, P positions each, N = B * P, H heads of width K. Places are byte offsets.
import type { Kernels } from './kernels.js'
import { FLOAT, type Rows } from './rows.js'

export interface AttentionShape {
  readonly batch: number
  readonly numHeads: number
  readonly headWidth: number
  readonly numPositions: number
}

/** Keys and values [B, H, T, K] of some positions. */
export interface KeyValuePlaces {
  readonly key: number
  readonly value: number
}

/**
 * The `part`th H * K floats of rows, head by head, to the last P of `length` positions of a tensor [B, H, length, K].
 */
export function splitHeads(
  kernels: Kernels,
  { batch, numHeads, headWidth, numPositions }: AttentionShape,
  {
    from,
    part,
    to,
    length,
  }: { readonly from: Rows; readonly part: number; readonly to: number; readonly length: number },
): void {
  for (let head = 0; head < batch * numHeads; head++) {
    const row = Math.floor(head / numHeads) * numPositions
    const column = (part * numHeads + (head % numHeads)) * headWidth
    kernels.copyRows(
      { at: to + FLOAT * ((head + 1) * length - numPositions) * headWidth, stride: headWidth },
      { at: from.at + FLOAT * (row * from.stride + column), stride: from.stride },
      { rows: numPositions, width: headWidth },
    )
  }
}

/**
 * Keys and values of all positions [B, H, T, K] into `present`: those of `past`, the first T - P of them, and those of
 * `projected`, whose rows hold queries, keys and values beside each other.
 */
export function appendKeyValues(
  kernels: Kernels,
  shape: AttentionShape,
  {
    projected,
    past,
    length,
    present,
  }: {
    readonly projected: Rows
    readonly past: KeyValuePlaces | undefined
    /** T. */
    readonly length: number
    readonly present: KeyValuePlaces
  },
): void {
  const { batch, numHeads, headWidth, numPositions } = shape
  const before = (length - numPositions) * headWidth
  for (const [part, name] of [
    [1, 'key'],
    [2, 'value'],
  ] as const) {
    if (past) {
      kernels.copyRows(
        { at: present[name], stride: length * headWidth },
        { at: past[name], stride: before },
        { rows: batch * numHeads, width: before },
      )
    }
    splitHeads(kernels, shape, { from: projected, part, to: present[name], length })
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
    readonly memory: KeyValuePlaces & {
      readonly length: number
      /** One for all rows, or one a row. */
      readonly batch: number
    }
    /** Where what is added to a query's scores lies, `length` floats; 0: nothing. */
    readonly biasOf: (row: number, head: number, position: number) => number
    /** Room for `length` + 4 floats. */
    readonly scores: number
  },
): void {
  const { queries, attended, memory, biasOf, scores } = job
  for (let row = 0; row < batch; row++) {
    for (let head = 0; head < numHeads; head++) {
      const offset = FLOAT * ((memory.batch === 1 ? 0 : row) * numHeads + head) * memory.length * headWidth
      for (let position = 0; position < numPositions; position++) {
        const n = row * numPositions + position
        kernels.run.attend(
          queries.at + FLOAT * (n * queries.stride + head * headWidth),
          memory.key + offset,
          memory.value + offset,
          biasOf(row, head, position),
          scores,
          attended.at + FLOAT * (n * attended.stride + head * headWidth),
          memory.length,
          headWidth,
        )
      }
    }
  }
}
