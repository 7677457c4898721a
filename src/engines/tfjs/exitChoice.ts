// An exit's choice in the graph: from logits to a few numbers a position, and one small host read.
import * as tf from '@tensorflow/tfjs'
import type { ExitChoice, ExitFeature } from '../../decoding/index.js'
import { ShallowDeepError } from '../../errors.js'
import { MASKED } from '../../model/index.js'

/** What is read of an exit; the owner disposes all of them. */
export type ExitTensors = {
  /** [N, columns] float32 (token ids stay exact below 2^24); or, of the arg-max alone, [N] int32. */
  readonly packed: tf.Tensor
  /** [N, V]. */
  readonly logits: tf.Tensor2D
}

/**
 * Adds a large negative number at the tokens that a position may not choose: logits [N, V], a list for each of the N
 * positions. Returns `logits` itself where there are none.
 */
export function forbid(logits: tf.Tensor2D, forbidden: readonly (readonly number[])[]): tf.Tensor2D {
  if (forbidden.every((tokens) => tokens.length === 0)) return logits
  const [numPositions, vocabSize] = logits.shape
  const mask = new Float32Array(numPositions * vocabSize)
  for (const [n, tokens] of forbidden.entries()) {
    for (const token of tokens) mask[n * vocabSize + token] = MASKED
  }
  return tf.add(logits, tf.tensor2d(mask, [numPositions, vocabSize]))
}

/** Logits [N, V] to what answers for the features; call it inside a tidy. */
export function chooseInGraph(logits: tf.Tensor2D, features: readonly ExitFeature[]): ExitTensors {
  const wantsEntropy = features.includes('entropy')
  if (!wantsEntropy && !features.includes('probabilities')) return { packed: tf.argMax(logits, 1), logits }
  // The order is taken from the logits: after the softmax two of them may have become equal.
  const { values, indices } = tf.topk(logits, 2)
  const probabilities = tf.softmax(logits)
  const columns: tf.Tensor[] = [tf.cast(indices, 'float32'), values, tf.max(probabilities, 1, true)]
  if (wantsEntropy) columns.push(tf.sum(tf.mul(probabilities, logits), 1, true))
  return { packed: tf.concat(columns, 1), logits }
}

/**
 * Reads the choices: one host read, and the logits where they are asked for.
 * Throws `engine.not-a-number` where the logits hold NaN.
 */
export async function readChoices(
  { packed, logits }: ExitTensors,
  features: readonly ExitFeature[],
): Promise<ExitChoice[]> {
  const [numPositions, vocabSize] = logits.shape
  const numbers = await packed.data()
  const width = numbers.length / numPositions
  // NaN makes every comparison false, so that an arg-max alone answers 0: only then it needs a second look.
  const isSuspect = width > 1 ? numbers.some(Number.isNaN) : numbers.includes(0)
  const wantsLogits = features.includes('logits')
  const all = wantsLogits || isSuspect ? ((await logits.data()) as Float32Array) : undefined
  if (isSuspect && all!.some(Number.isNaN)) throw notANumber()
  return Array.from({ length: numPositions }, (_, n): ExitChoice => {
    const [token, , first, second, top1, expected] = numbers.subarray(n * width, (n + 1) * width)
    return {
      token,
      ...(features.includes('probabilities') && { top1, top2: top1 * Math.exp(second - first) }),
      // H = ln sum exp(l) - sum p l, and ln sum exp(l) = max l - ln max p.
      ...(features.includes('entropy') && { entropy: first - Math.log(top1) - expected }),
      ...(wantsLogits && { logits: all!.slice(n * vocabSize, (n + 1) * vocabSize) }),
    }
  })
}

function notANumber(): ShallowDeepError {
  return new ShallowDeepError({
    code: 'engine.not-a-number',
    message: 'the logits of an exit are not numbers (NaN)',
    hint: 'the weights are broken, or the model overflows float32: check the checkpoint, or train again',
    kind: 'failure',
  })
}
