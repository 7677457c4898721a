// An exit's choice in the graph: from logits to a few numbers a position, and one small host read.
import * as tf from '@tensorflow/tfjs'
import type { ExitChoice, ExitFeature } from '../../decoding/index.js'
import { MASKED } from '../../model/index.js'
import { notANumberError } from '../checks.js'
import { chooseOnWasm } from './wasm/choice.js'

/** What is read of an exit; the owner disposes all of them. */
export type ExitTensors = {
  /** [N, columns] float32 (token ids stay exact below 2^24); or, of the arg-max alone, [N] int32. */
  readonly packed: tf.Tensor
  /** [N, V]. */
  readonly logits: tf.Tensor2D
}

/**
 * Adds a large negative number at the tokens that a position may not choose: logits [N, V], a list for each of the N
 * positions.
 */
export function forbid(logits: tf.Tensor2D, forbidden: readonly (readonly number[])[]): tf.Tensor2D {
  const [numPositions, vocabSize] = logits.shape
  const mask = new Float32Array(numPositions * vocabSize)
  for (const [n, tokens] of forbidden.entries()) {
    for (const token of tokens) mask[n * vocabSize + token] = MASKED
  }
  return tf.add(logits, tf.tensor2d(mask, [numPositions, vocabSize]))
}

/** What an exit is asked, and what beside its logits it takes to answer. */
export interface ExitQuery {
  readonly features: readonly ExitFeature[]
  /** Of the feature `candidates`. */
  readonly numCandidates: number
  /** The logits [N, V] before {@link forbid}, which candidates take their probabilities from. */
  readonly unmasked: tf.Tensor2D
  /** [N], of the feature `agreement`. */
  readonly agreement?: tf.Tensor1D
}

/** Logits [N, V] to what answers a query; call it inside a tidy. */
export function chooseInGraph(logits: tf.Tensor2D, query: ExitQuery): ExitTensors {
  const { features, unmasked, agreement } = query
  const [, vocabSize] = logits.shape
  const wants = (feature: ExitFeature) => features.includes(feature)
  const columns: tf.Tensor[] = []
  if (wants('probabilities') || wants('entropy')) columns.push(bestTwo(logits))
  if (wants('entropy')) columns.push(tf.sum(tf.mul(tf.softmax(logits), logits), 1, true))
  if (wants('candidates')) {
    const { values, indices } = tf.topk(logits, Math.min(query.numCandidates, vocabSize))
    columns.push(tf.cast(indices, 'float32'), tf.sub(values, tf.logSumExp(unmasked, 1, true)))
  }
  const best = columns.length === 0 ? tf.argMax(logits, 1) : undefined
  if (best && !agreement) return { packed: best, logits }
  if (best) columns.push(tf.expandDims(tf.cast(best, 'float32'), 1))
  if (agreement) columns.push(tf.expandDims(agreement, 1))
  return { packed: columns.length === 1 ? columns[0] : tf.concat(columns, 1), logits }
}

/** [N, 5]: the two best tokens, their logits, and the best one's probability. */
function bestTwo(logits: tf.Tensor2D): tf.Tensor2D {
  const fused = chooseOnWasm(logits)
  if (fused) return fused
  // The order is taken from the logits: after the softmax two of them may have become equal.
  const { values, indices } = tf.topk(logits, 2)
  const most = tf.max(tf.softmax(logits), 1, true)
  return tf.concat([tf.cast(indices, 'float32'), values, most] as tf.Tensor2D[], 1)
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
  if (isSuspect && all!.some(Number.isNaN)) throw notANumberError()
  return Array.from({ length: numPositions }, (_, n): ExitChoice => ({
    ...readColumns(numbers.subarray(n * width, (n + 1) * width), features),
    ...(wantsLogits && { logits: all!.slice(n * vocabSize, (n + 1) * vocabSize) }),
  }))
}

/** One position's columns, in the order in which {@link chooseInGraph} puts them. */
function readColumns(numbers: tf.TypedArray, features: readonly ExitFeature[]): ExitChoice {
  const wants = (feature: ExitFeature) => features.includes(feature)
  let answered: Omit<ExitChoice, 'token'> = {}
  let numRead = 0
  if (wants('probabilities') || wants('entropy')) {
    const [, , first, second, top1, expected] = numbers
    numRead = wants('entropy') ? 6 : 5
    answered = {
      ...(wants('probabilities') && { top1, top2: top1 * Math.exp(second - first) }),
      // H = ln sum exp(l) - sum p l, and ln sum exp(l) = max l - ln max p.
      ...(wants('entropy') && { entropy: first - Math.log(top1) - expected }),
    }
  }
  if (wants('candidates')) {
    const count = Math.floor((numbers.length - numRead) / 2)
    const candidates = Array.from({ length: count }, (_, i) => ({
      token: numbers[numRead + i],
      logProbability: numbers[numRead + count + i],
    }))
    answered = {
      ...answered,
      candidates: candidates.filter(({ logProbability }) => logProbability > MASKED / 2),
    }
  }
  // Whatever was asked, the first column is the best token, and an agreement the last.
  return {
    token: numbers[0],
    ...answered,
    ...(wants('agreement') && { agreement: numbers[numbers.length - 1] }),
  }
}
