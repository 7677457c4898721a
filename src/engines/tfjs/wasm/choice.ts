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

/** Rows of logits, and room of {@link choiceBytes}. */
interface RowsToChooseBy {
  readonly logits: Rows
  readonly rows: number
  readonly vocabSize: number
  readonly found: number
  readonly choice: PackedChoice
}

/**
 * What an exit chooses by each of some rows of logits.
 * Throws `engine.not-a-number` where a logit is none.
 */
export function chooseRows(kernels: Kernels, job: RowsToChooseBy): ExitChoice[] {
  const { rows, found, choice } = job
  findBestTwo(kernels, job)
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
  findBestTwo(kernels, { ...places, rows, vocabSize, choice: 'probabilities' })
  return chosen
}

function findBestTwo(kernels: Kernels, { logits, rows, vocabSize, found, choice }: RowsToChooseBy): void {
  const mass = choice === 'token' ? 0 : 1
  for (let n = 0; n < rows; n++) {
    kernels.run.choose(rowsFrom(logits, n).at, found + FLOAT * COLUMNS * n, vocabSize, mass)
  }
}
