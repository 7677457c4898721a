// T5's relative position bias: the additive biases and masks made of the buckets of (memory - query) positions.
import * as tf from '@tensorflow/tfjs'
import { relativeBucket, type BucketOptions } from '../config/index.js'
import { product } from './product.js'

export interface BiasSpan {
  /** Absolute position of the first query. */
  readonly queryStart: number
  /** Number of queries P. */
  readonly queryLength: number
  /** Number of memory positions T, from position 0. */
  readonly memoryLength: number
}

/** The value added to a score that must not count; finite, so that a row without any memory stays defined. */
export const MASKED = -1e9

/**
 * Relative position bias [1, H, P, T] of one stack. `table` [numBuckets, H].
 * `causal`: memory after the query is masked out.
 */
export function relativeBias(
  table: tf.Tensor2D,
  span: BiasSpan,
  options: BucketOptions & { readonly causal: boolean },
): tf.Tensor4D {
  const { queryStart, queryLength, memoryLength } = span
  const numHeads = table.shape[1]
  const oneHot = new Float32Array(queryLength * memoryLength * options.numBuckets)
  const mask = new Float32Array(queryLength * memoryLength)
  for (let query = 0; query < queryLength; query++) {
    for (let memory = 0; memory < memoryLength; memory++) {
      const relativePosition = memory - (queryStart + query)
      const cell = query * memoryLength + memory
      oneHot[cell * options.numBuckets + relativeBucket(relativePosition, options)] = 1
      if (options.causal && relativePosition > 0) mask[cell] = MASKED
    }
  }
  return tf.tidy(() => {
    // A product with one-hot rows instead of a gather: its gradient exists and is fast on every backend.
    const rows = product(tf.tensor2d(oneHot, [queryLength * memoryLength, options.numBuckets]), table) // [P*T, H]
    const bias = tf.reshape(tf.transpose(rows), [1, numHeads, queryLength, memoryLength]) as tf.Tensor4D
    return options.causal ? tf.add(bias, tf.tensor4d(mask, [1, 1, queryLength, memoryLength])) : bias
  })
}

/** Additive mask [B, 1, 1, M] of the source tokens [B, M] (int32): 0 where a token is, {@link MASKED} at padding. */
export function paddingBias(tokens: tf.Tensor2D, padId: number): tf.Tensor4D {
  return tf.tidy(() => {
    const isPad = tf.cast(tf.equal(tokens, padId), 'float32')
    return tf.reshape(tf.mul(isPad, MASKED), [tokens.shape[0], 1, 1, tokens.shape[1]]) as tf.Tensor4D
  })
}
