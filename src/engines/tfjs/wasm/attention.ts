// Attention of a group of rows in step: B rows, P positions each, N = B * P, H heads of width K. Places are byte offsets.
import { LANES, type Kernels } from './kernels.js'
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

/** Bytes of a whole number. */
const WORD = 4
/** Bytes of what is told of a memory to the kernel: see scripts/wasm/kernels.ts. */
const MEMORY_BYTES = 32

/** Room that an attention over so many positions takes. */
export function attentionBytes(numHeads: number, length: number): number {
  return MEMORY_BYTES + FLOAT * numHeads * (length + LANES)
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
    /** Of {@link attentionBytes}. */
    readonly room: number
  },
): void {
  const { queries, attended, memory, bias, room } = job
  const { words } = kernels
  const told = room / WORD
  for (let row = 0; row < batch; row++) {
    words[told] = memory.key + FLOAT * row * memory.rowStride
    words[told + 1] = memory.value + FLOAT * row * memory.rowStride
    words[told + 2] = bias.at + FLOAT * row * bias.rowStride
    words[told + 3] = FLOAT * bias.headStride
    words[told + 4] = FLOAT * bias.positionStride
    words[told + 5] = memory.length
    kernels.share('attend', {
      x: rowsFrom(queries, row * numPositions),
      right: room,
      out: rowsFrom(attended, row * numPositions),
      rows: numPositions,
      depth: headWidth,
      numBlocks: numHeads,
      numBytes: FLOAT * numHeads * memory.length * headWidth * numPositions,
    })
  }
}
