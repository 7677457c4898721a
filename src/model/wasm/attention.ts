// Attention of a group of rows in step: B rows, P positions each, N = B * P, H heads of width K.
import type * as tf from '@tensorflow/tfjs'
import { FLOAT, onWasm, WIDTH_STEP, type Kernels } from './runtime.js'

/** More positions at once are matrices, which tfjs multiplies faster. */
const MAX_POSITIONS = 32

interface KeyValue {
  readonly key: tf.Tensor4D
  readonly value: tf.Tensor4D
}

export interface AttentionShape {
  readonly batch: number
  readonly numHeads: number
}

/** Self-attention, and the keys and values of all positions [B, H, T, K]. */
export interface SelfAttended extends KeyValue {
  /** [N, H * K]. */
  readonly attended: tf.Tensor2D
}

/**
 * `projected` [N, 3 * H * K], queries, keys and values beside each other; `past` of T - P positions; `bias` [1 or B, H, P, T].
 * A position gets the same to the last bit whatever rows and masked positions are beside it. Undefined where the kernel is
 * not for it.
 */
export function selfAttentionOnWasm(
  projected: tf.Tensor2D,
  { past, bias, ...shape }: AttentionShape & { readonly past?: KeyValue; readonly bias: tf.Tensor4D },
): SelfAttended | undefined {
  const { batch, numHeads } = shape
  const [numRows, columns] = projected.shape
  const [numPositions, headWidth] = [numRows / batch, columns / 3 / numHeads]
  if (!fits(numPositions, headWidth)) return undefined
  const before = past?.key.shape[2] ?? 0
  const length = before + numPositions
  const cache = [batch, numHeads, length, headWidth]
  const width = numHeads * headWidth
  const inputs = [projected, bias, ...(past ? [past.key, past.value] : [])]
  const made = onWasm(
    [[numRows, width], cache, cache, [length + 4]],
    inputs,
    (kernels, [out, key, value, scores], [from, biasAt, ...pasts]) => {
      for (const [part, to] of [key, value].entries()) {
        for (let head = 0; head < batch * numHeads; head++) {
          const start = to + FLOAT * head * length * headWidth
          if (past) {
            kernels.copy(start, pasts[part] + FLOAT * head * before * headWidth, before * headWidth)
          }
          const row = Math.floor(head / numHeads) * numPositions
          const column = (part + 1) * width + (head % numHeads) * headWidth
          for (let position = 0; position < numPositions; position++) {
            const added = from + FLOAT * ((row + position) * columns + column)
            kernels.copy(start + FLOAT * (before + position) * headWidth, added, headWidth)
          }
        }
      }
      attendAll(kernels, {
        ...{ batch, numHeads, numPositions, headWidth, length, scores, out, key, value },
        queries: { at: from, stride: columns },
        numMemories: batch,
        biasOf: (row, head, position) =>
          biasAt +
          FLOAT * (((bias.shape[0] === 1 ? 0 : row) * numHeads + head) * numPositions + position) * length,
      })
    },
  )
  if (!made) return undefined
  const [attended, key, value, scores] = made
  scores.dispose()
  return { attended, key, value } as SelfAttended
}

/**
 * `queries` [N, H * K] over a memory [1 or B, H, M, K] with a mask [1 or B, 1, 1, M], if any -> [N, H * K]. Undefined
 * where the kernel is not for it.
 */
export function crossAttentionOnWasm(
  queries: tf.Tensor2D,
  memory: KeyValue,
  { batch, numHeads, bias }: AttentionShape & { readonly bias?: tf.Tensor4D },
): tf.Tensor2D | undefined {
  const [numRows, columns] = queries.shape
  const [numPositions, headWidth] = [numRows / batch, columns / numHeads]
  if (!fits(numPositions, headWidth)) return undefined
  const [numMemories, , length] = memory.key.shape
  const inputs = [queries, memory.key, memory.value, ...(bias ? [bias] : [])]
  const made = onWasm(
    [[numRows, columns], [length + 4]],
    inputs,
    (kernels, [out, scores], [at, key, value, biasAt]) =>
      attendAll(kernels, {
        ...{ batch, numHeads, numPositions, headWidth, length, scores, out, key, value, numMemories },
        queries: { at, stride: columns },
        biasOf: (row) => (bias ? biasAt + FLOAT * (bias.shape[0] === 1 ? 0 : row) * length : 0),
      }),
  )
  if (!made) return undefined
  const [attended, scores] = made
  scores.dispose()
  return attended as tf.Tensor2D
}

function fits(numPositions: number, headWidth: number): boolean {
  return numPositions <= MAX_POSITIONS && headWidth > 0 && headWidth % WIDTH_STEP === 0
}

/** Every query by itself. Places in memory are byte offsets. */
function attendAll(
  kernels: Kernels,
  job: AttentionShape & {
    readonly numPositions: number
    readonly headWidth: number
    readonly length: number
    readonly queries: { readonly at: number; readonly stride: number }
    readonly key: number
    readonly value: number
    /** One for all rows, or one a row. */
    readonly numMemories: number
    readonly scores: number
    readonly out: number
    /** 0: none. */
    readonly biasOf: (row: number, head: number, position: number) => number
  },
): void {
  const { batch, numHeads, numPositions, headWidth, length, queries, scores, out } = job
  for (let row = 0; row < batch; row++) {
    for (let head = 0; head < numHeads; head++) {
      const memory = FLOAT * ((job.numMemories === 1 ? 0 : row) * numHeads + head) * length * headWidth
      for (let position = 0; position < numPositions; position++) {
        const n = row * numPositions + position
        kernels.attend(
          queries.at + FLOAT * (n * queries.stride + head * headWidth),
          job.key + memory,
          job.value + memory,
          job.biasOf(row, head, position),
          scores,
          out + FLOAT * (n * numHeads + head) * headWidth,
          length,
          headWidth,
        )
      }
    }
  }
}
