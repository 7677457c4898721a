// Sampling: tokens are drawn from the exits' distributions. What is drawn depends on the seed and on the source's number
// alone, whatever the batch.
import { Random } from '../../random.js'
import type { ExitChoice } from '../engine.js'
import { SingleSequence } from '../sequence.js'
import type { Selection } from './selection.js'
import type { Draft, Selector } from './selector.js'
import { warp, type WarpOptions } from './warp.js'

/** How tokens are drawn. */
export interface SampleOptions extends WarpOptions {
  /** A whole number. */
  readonly seed: number
}

/**
 * Draws every token from its exit's distribution. Confidences, and the evidence of flushes, stay those of the distribution
 * as the model gives it, before temperature, top-k and top-p: whether a shallow exit knows what the deep one would say does
 * not depend on how tokens are then drawn, and a calibration holds for all ways of drawing.
 * Under `lossless` the output is distributed as under `full`.
 */
export function sample(options: Partial<SampleOptions> = {}): Selection {
  const { seed, ...warping } = { temperature: 1, topK: null, topP: null, seed: 0, ...options }
  return {
    settings: { ...warping, seed },
    width: 1,
    needs: ['logits'],
    numCandidates: 0,
    check: () => undefined,
    start: (start) => new SingleSequence(start, new Sampler(warping, new Random(seed).fork(start.ordinal))),
  }
}

/** Draws tokens for one source. */
export class Sampler implements Selector {
  constructor(
    protected readonly options: WarpOptions,
    protected readonly random: Random,
  ) {}

  choose({ logits }: ExitChoice): number {
    return draw(warp(logits!, this.options), this.random)
  }

  /**
   * Speculative acceptance (Leviathan et al. 2023, algorithm 1; Chen et al. 2023): a token drawn from q stands with
   * probability min(1, p / q), else one is drawn from the part of p that q does not cover, so that p results.
   */
  verify({ token, choice }: Draft, { logits }: ExitChoice): number {
    const q = warp(choice.logits!, this.options)
    const p = warp(logits!, this.options)
    if (this.random.uniform() * q[token] < p[token]) return token
    const uncovered = p.map((probability, t) => Math.max(0, probability - q[t]))
    // All of it covered: p and q differ by rounding only.
    return uncovered.some((probability) => probability > 0) ? draw(uncovered, this.random) : token
  }
}

/** A token by weights [V], not all 0, that need not sum to 1. */
function draw(weights: Float64Array, random: Random): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let left = random.uniform() * total
  let last = 0
  for (const [token, weight] of weights.entries()) {
    if (weight === 0) continue
    left -= weight
    last = token
    if (left < 0) break
  }
  return last
}
