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
  const scaled = Float64Array.from(logits, (logit) => logit / temperature)
  if (topK !== null && topK < scaled.length) {
    const least = scaled.toSorted()[scaled.length - topK]
    for (const [token, logit] of scaled.entries()) if (logit < least) scaled[token] = -Infinity
  }
  const probabilities = softmax(scaled)
  if (topP !== null && topP < 1) {
    const least = leastKept(probabilities, topP)
    for (const [token, p] of probabilities.entries()) if (p < least) probabilities[token] = 0
    scale(probabilities)
  }
  return probabilities
}

/** The smallest probability that top-p keeps: less probable tokens have 1 - topP or less together. */
function leastKept(probabilities: Float64Array, topP: number): number {
  const rising = probabilities.toSorted()
  let below = 0
  for (const p of rising) {
    below += p
    if (below > 1 - topP) return p
  }
  return rising.at(-1)!
}

function softmax(logits: Float64Array): Float64Array {
  let best = -Infinity
  for (const logit of logits) if (logit > best) best = logit
  return scale(logits.map((logit) => Math.exp(logit - best)))
}

/** Makes the values sum to 1, in place. */
function scale(values: Float64Array): Float64Array {
  let sum = 0
  for (const value of values) sum += value
  for (let i = 0; i < values.length; i++) values[i] /= sum
  return values
}
