// What decoding with early exits costs, from what its passes cost: every token goes through the shallow layers, and those
// that do not leave there take the pending ones with them through the deep layers (synchronized parallel decoding,
// arXiv 2310.05424, section 3.2).
import { ShallowDeepError } from '../errors.js'

/** What one pass over some positions took. */
export interface PassCost {
  /** Positions in the pass, at least 1. */
  readonly positions: number
  readonly ms: number
}

/** Costs of the two segments at a shallow exit. */
export interface SegmentCosts {
  /** The shallow layers over one position, with the exit's choice and confidence. */
  readonly shallowMs: number
  /** The deep layers and the last exit over some numbers of positions, rising from 1. */
  readonly deep: readonly PassCost[]
}

/** How tokens leave. */
export interface ExitPattern {
  /** Probability, 0 to 1, that a token leaves at the shallow exit, each for itself. */
  readonly exitShare: number
  /** Tokens of a sequence, at least 1; what is pending at its end never goes deep. */
  readonly numTokens: number
  /** Positions that the stack holds at most. Neutral: undefined, no bound. */
  readonly maxPending?: number
}

/** What a sequence costs by expectation. */
export interface ExpectedCost {
  /** Total time over tokens. */
  readonly msPerToken: number
  /** Deep passes over tokens, 0 to 1. */
  readonly flushesPerToken: number
  /** Positions in a deep pass; null where none is expected. */
  readonly meanFlushSize: number | null
}

/**
 * The expected cost of a sequence, exact for tokens that leave independently of each other: the distribution of the number
 * of pending positions is carried from token to token. Throws `evaluation.exit-share` outside [0, 1].
 */
export function expectedCost(costs: SegmentCosts, pattern: ExitPattern): ExpectedCost {
  const { exitShare, numTokens, maxPending = Infinity } = pattern
  if (!(exitShare >= 0 && exitShare <= 1)) {
    throw new ShallowDeepError({
      code: 'evaluation.exit-share',
      message: `expected a share of exits from 0 to 1, got ${exitShare}`,
      details: { exitShare },
    })
  }
  // Probabilities by the number of pending positions before a token.
  let pending = [1]
  let [deepMs, flushes, flushed] = [0, 0, 0]
  for (let token = 0; token < numTokens; token++) {
    const next = new Array<number>(pending.length + 1).fill(0)
    for (const [count, probability] of pending.entries()) {
      const leaving = count < maxPending ? probability * exitShare : 0
      const staying = probability - leaving
      next[count + 1] += leaving
      next[0] += staying
      flushes += staying
      flushed += staying * (count + 1)
      deepMs += staying * passCost(costs.deep, count + 1)
    }
    pending = next
  }
  return {
    msPerToken: costs.shallowMs + deepMs / numTokens,
    flushesPerToken: flushes / numTokens,
    meanFlushSize: flushes > 0 ? flushed / flushes : null,
  }
}

/**
 * The cost of a pass: linear between the numbers of positions that were measured, and beyond the last two of them, where
 * it never falls.
 */
export function passCost(points: readonly PassCost[], positions: number): number {
  const last = points[points.length - 1]
  if (positions >= last.positions) {
    const before = points[points.length - 2] ?? last
    const rise = Math.max(0, last.ms - before.ms)
    return rise === 0
      ? last.ms
      : last.ms + (rise * (positions - last.positions)) / (last.positions - before.positions)
  }
  const end = points.findIndex((point) => point.positions > positions)
  const [a, b] = [points[end - 1], points[end]]
  return a.ms + ((b.ms - a.ms) * (positions - a.positions)) / (b.positions - a.positions)
}
