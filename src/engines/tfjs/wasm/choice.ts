// The choice of an exit from its logits.
import type * as tf from '@tensorflow/tfjs'
import type { ExitChoice } from '../../../decoding/index.js'
import { notANumberError } from '../../checks.js'
import type { PackedChoice } from '../segmentExit.js'
import { currentKernels, LANES, type Kernels } from './kernels.js'
import { FLOAT } from './rows.js'

const COLUMNS = 5

/**
 * Of each row of logits [N, V] -> [N, 5]: the ids of the two largest, of equal ones the lower first; their logits; and the
 * first one's probability, which is not a number where a logit is none. Undefined where there is no kernel for it.
 */
export function chooseOnWasm(logits: tf.Tensor2D): tf.Tensor2D | undefined {
  const kernels = currentKernels()
  const [rows, vocabSize] = logits.shape
  if (!kernels || rows === 0 || vocabSize < 2 || vocabSize % LANES > 0) return undefined
  return chooseBestTwo(kernels, logits)
}

function chooseBestTwo(kernels: Kernels, logits: tf.Tensor2D): tf.Tensor2D {
  const [rows, vocabSize] = logits.shape
  const chosen = kernels.make<tf.Tensor2D>([rows, COLUMNS])
  const [from, to] = [kernels.at(logits), kernels.at(chosen)]
  for (let n = 0; n < rows; n++) {
    kernels.run.choose(from + FLOAT * n * vocabSize, to + FLOAT * n * COLUMNS, vocabSize)
  }
  return chosen
}

/** What {@link chooseOnWasm} chose. Throws `engine.not-a-number` where a logit is none. */
export function readChosen(chosen: tf.Tensor2D, choice: PackedChoice): ExitChoice[] {
  const columns = chosen.dataSync()
  return Array.from({ length: chosen.shape[0] }, (_, n): ExitChoice => {
    const [token, , first, second, top1] = columns.subarray(n * COLUMNS, (n + 1) * COLUMNS)
    if (Number.isNaN(top1)) throw notANumberError()
    return choice === 'token' ? { token } : { token, top1, top2: top1 * Math.exp(second - first) }
  })
}
