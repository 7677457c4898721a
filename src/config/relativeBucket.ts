// Buckets of relative positions: which entry of a stack's position bias table a pair of positions reads.

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
