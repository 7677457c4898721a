// The choice of an exit from its logits.
import type * as tf from '@tensorflow/tfjs'
import { FLOAT, onWasm, WIDTH_STEP } from './runtime.js'

const COLUMNS = 5

/**
 * Of each row of logits [N, V] -> [N, 5]: the ids of the two largest, of equal ones the lower first; their logits; and the
 * first one's probability, which is not a number where a logit is none. Undefined where the kernel is not for it.
 */
export function chooseOnWasm(logits: tf.Tensor2D): tf.Tensor2D | undefined {
  const [rows, vocabSize] = logits.shape
  if (rows === 0 || vocabSize < 2 || vocabSize % WIDTH_STEP > 0) return undefined
  const made = onWasm([[rows, COLUMNS]], [logits], (kernels, [out], [from]) => {
    for (let n = 0; n < rows; n++) {
      kernels.choose(from + FLOAT * n * vocabSize, out + FLOAT * n * COLUMNS, vocabSize)
    }
  })
  return made?.[0] as tf.Tensor2D | undefined
}
