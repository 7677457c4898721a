// From an exit's logits to the probabilities that tokens are drawn with: temperature, then top-k, then top-p, in the order
// and by the rules of transformers' generate (TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper).

/** How a distribution is changed before a token is drawn from it. */
export interface WarpOptions {
  /** Logits are divided by it; above 0, 1 = as they are. */
  readonly temperature: number
  /** Only this many most probable tokens; null = all. */
  readonly topK: number | null
  /** Only the most probable tokens that together have at least this probability, in (0, 1]; null = all. */
  readonly topP: number | null
}

/**
 * Probabilities [V] of logits [V]; they sum to 1. Where tokens at an edge are equally probable all of them are kept (the
 * reference keeps, under top-p, those that its sort puts last).
 */
export function warp(logits: ArrayLike<number>, { temperature, topK, topP }: WarpOptions): Float64Array {
  // Plain loops: callbacks and iterators over a whole vocabulary cost more than the rest.
  const scaled = new Float64Array(logits.length)
  for (let i = 0; i < scaled.length; i++) scaled[i] = logits[i] / temperature
  if (topK !== null && topK < scaled.length) {
    const least = nthLargest(scaled, topK)
    for (let i = 0; i < scaled.length; i++) if (scaled[i] < least) scaled[i] = -Infinity
  }
  const probabilities = softmax(scaled)
  if (topP !== null && topP < 1) {
    const least = leastKept(probabilities, topP)
    for (let i = 0; i < probabilities.length; i++) if (probabilities[i] < least) probabilities[i] = 0
    scale(probabilities)
  }
  return probabilities
}

/** The `n`th largest value, for few of many without sorting all: few tokens are ever among the best so far. */
function nthLargest(values: Float64Array, n: number): number {
  if (n > values.length / 16) return values.toSorted()[values.length - n]
  const best = values.slice(0, n).sort()
  for (let i = n; i < values.length; i++) {
    const value = values[i]
    if (!(value > best[0])) continue
    let [low, high] = [0, n]
    while (low < high) {
      const middle = (low + high) >> 1
      if (best[middle] < value) low = middle + 1
      else high = middle
    }
    best.copyWithin(0, 1, low)
    best[low - 1] = value
  }
  return best[0]
}

/** The smallest probability that top-p keeps: less probable tokens have 1 - topP or less together. */
function leastKept(probabilities: Float64Array, topP: number): number {
  const most = 1 - topP
  // So improbable that all such tokens together are below the cut: of a vocabulary the most, which need no order.
  const negligible = most / probabilities.length
  let below = 0
  for (const p of probabilities) if (p < negligible) below += p
  const rising = probabilities.filter((p) => p >= negligible).sort()
  for (const p of rising) {
    below += p
    if (below > most) return p
  }
  return rising.at(-1)!
}

function softmax(logits: Float64Array): Float64Array {
  let best = -Infinity
  for (const logit of logits) if (logit > best) best = logit
  const exponentials = new Float64Array(logits.length)
  for (let i = 0; i < logits.length; i++) exponentials[i] = Math.exp(logits[i] - best)
  return scale(exponentials)
}

/** Makes the values sum to 1, in place. */
function scale(values: Float64Array): Float64Array {
  let sum = 0
  for (const value of values) sum += value
  for (let i = 0; i < values.length; i++) values[i] /= sum
  return values
}
