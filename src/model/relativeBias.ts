// T5's relative position bias: buckets of (memory - query) positions, and the additive biases and masks made of them.
import * as tf from '@tensorflow/tfjs'
import { product } from './product.js'

export interface BucketOptions {
  /** Number of buckets; in a bidirectional stack half of them for each direction. */
  readonly numBuckets: number
  /** All distances from here on share the last bucket. */
  readonly maxDistance: number
  /** True in the encoder; in the decoder positions after the query share bucket 0. */
  readonly bidirectional: boolean
}

/**
 * The bucket of a relative position (memory - query), as T5Attention._relative_position_bucket computes it. The
 * reference takes the logarithm in float32, so that each step is rounded here too: ids at bucket edges depend on it.
 */
export function relativeBucket(relativePosition: number, options: BucketOptions): number {
  let numBuckets = options.numBuckets
  let offset = 0
  let distance: number
  if (options.bidirectional) {
    numBuckets = Math.floor(numBuckets / 2)
    if (relativePosition > 0) offset = numBuckets
    distance = Math.abs(relativePosition)
  } else {
    distance = Math.max(0, -relativePosition)
  }
  const maxExact = Math.floor(numBuckets / 2)
  if (distance < maxExact) return offset + distance
  const { fround, log } = Math
  const ratio = fround(fround(log(fround(distance / maxExact))) / fround(log(options.maxDistance / maxExact)))
  const large = maxExact + Math.trunc(fround(ratio * (numBuckets - maxExact)))
  return offset + Math.min(large, numBuckets - 1)
}

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
