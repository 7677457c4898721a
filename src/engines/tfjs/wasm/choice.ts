// The choice of an exit from its logits.
import type * as tf from '@tensorflow/tfjs'
import type { ExitChoice } from '../../../decoding/index.js'
import { notANumberError } from '../../checks.js'
import type { PackedChoice } from '../segmentExit.js'
import { currentKernels, LANES, type Kernels } from './kernels.js'
import { FLOAT, rowsFrom, type Rows } from './rows.js'

/** What is found of a row: the ids of the two largest, of equal ones the lower first; their logits; the probability. */
const COLUMNS = 5

/** Whether there is a kernel for logits of so many tokens. */
export function canChoose(vocabSize: number): boolean {
  return vocabSize >= 2 && vocabSize % LANES === 0
}

/** Bytes that {@link chooseRows} leaves its findings in. */
export function choiceBytes(rows: number): number {
  return FLOAT * COLUMNS * rows
}

/**
 * What an exit chooses by each of some rows of logits. `found`: room of {@link choiceBytes}.
 * Throws `engine.not-a-number` where a logit is none.
 */
export function chooseRows(
  kernels: Kernels,
  job: {
    readonly logits: Rows
    readonly rows: number
    readonly vocabSize: number
    readonly found: number
    readonly choice: PackedChoice
  },
): ExitChoice[] {
  const { logits, rows, vocabSize, found, choice } = job
  findBestTwo(kernels, { logits, rows, vocabSize, found })
  const { heap } = kernels
  return Array.from({ length: rows }, (_, n): ExitChoice => {
    const at = found / FLOAT + COLUMNS * n
    const [token, first, second, top1] = [heap[at], heap[at + 2], heap[at + 3], heap[at + 4]]
    if (Number.isNaN(top1)) throw notANumberError()
    return choice === 'token' ? { token } : { token, top1, top2: top1 * Math.exp(second - first) }
  })
}

/**
 * Of each row of logits [N, V] -> [N, 5]: the ids of the two largest, of equal ones the lower first; their logits; and the
 * first one's probability, which is not a number where a logit is none. Undefined where there is no kernel for it.
 */
export function chooseOnWasm(logits: tf.Tensor2D): tf.Tensor2D | undefined {
  const kernels = currentKernels()
  const [rows, vocabSize] = logits.shape
  if (!kernels || rows === 0 || !canChoose(vocabSize)) return undefined
  const chosen = kernels.make<tf.Tensor2D>([rows, COLUMNS])
  const places = { logits: { at: kernels.at(logits), stride: vocabSize }, found: kernels.at(chosen) }
  findBestTwo(kernels, { ...places, rows, vocabSize })
  return chosen
}

function findBestTwo(
  kernels: Kernels,
  job: { readonly logits: Rows; readonly rows: number; readonly vocabSize: number; readonly found: number },
): void {
  for (let n = 0; n < job.rows; n++) {
    kernels.run.choose(rowsFrom(job.logits, n).at, job.found + FLOAT * COLUMNS * n, job.vocabSize)
  }
}
