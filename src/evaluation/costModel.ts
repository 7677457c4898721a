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
  /**
   * Probability, 0 to 1, that a pending token stands at its flush, each for itself; at the first that does not, what came
   * after it is dropped and decoded again. A sequence then flushes before it ends. Neutral: undefined, all stand, and
   * what is pending at the end never goes deep.
   */
  readonly agreement?: number
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
 * The expected cost of a sequence, exact for tokens that leave independently of each other. Throws
 * `evaluation.exit-share` and `evaluation.agreement` outside [0, 1].
 */
export function expectedCost(costs: SegmentCosts, pattern: ExitPattern): ExpectedCost {
  const { exitShare, agreement, numTokens } = pattern
  checkShare(exitShare, 'evaluation.exit-share', 'exits')
  if (agreement !== undefined) checkShare(agreement, 'evaluation.agreement', 'tokens that stand')
  const { ms, flushes, flushed } =
    agreement === undefined ? costUnverified(costs, pattern) : costVerified(costs, { ...pattern, agreement })
  return {
    msPerToken: ms / numTokens,
    flushesPerToken: flushes / numTokens,
    meanFlushSize: flushes > 0 ? flushed / flushes : null,
  }
}

/** Totals over a sequence, by expectation. */
interface Totals {
  ms: number
  flushes: number
  flushed: number
}

/** Carries the distribution of the number of pending positions from token to token. */
function costUnverified(costs: SegmentCosts, pattern: ExitPattern): Totals {
  const { exitShare, numTokens, maxPending = Infinity } = pattern
  const totals = { ms: numTokens * costs.shallowMs, flushes: 0, flushed: 0 }
  // Probabilities by the number of pending positions before a token.
  let pending = [1]
  for (let token = 0; token < numTokens; token++) {
    const next = new Array<number>(Math.min(pending.length, maxPending) + 1).fill(0)
    for (const [count, probability] of pending.entries()) {
      const leaving = count < maxPending ? probability * exitShare : 0
      const staying = probability - leaving
      if (leaving > 0) next[count + 1] += leaving
      next[0] += staying
      addFlush(totals, costs, { probability: staying, positions: count + 1 })
    }
    pending = next
  }
  return totals
}

/**
 * Carries the distribution of the number of tokens that are settled from flush to flush: with n pending positions, j + 1
 * tokens are settled where the first of them to fall is the one after j that stand, and n + 1 where all stand.
 */
function costVerified(costs: SegmentCosts, pattern: ExitPattern & { readonly agreement: number }): Totals {
  const { exitShare, agreement, numTokens, maxPending = Infinity } = pattern
  const totals = { ms: 0, flushes: 0, flushed: 0 }
  // Probabilities that a flush leaves this many tokens settled, an empty stack behind them.
  const settled = new Array<number>(numTokens + 1).fill(0)
  settled[0] = 1
  for (let start = 0; start < numTokens; start++) {
    const most = Math.min(maxPending, numTokens - start)
    // Probabilities that at least this many are pending at the next flush, and that this many would stand.
    let [reached, standing] = [settled[start], 1]
    for (let count = 0; count <= most && reached > 0; count++) {
      // A sequence that ends shallow is flushed without a further position.
      const isEnd = start + count === numTokens
      const going = count < most ? reached * exitShare : 0
      const flushing = reached - going
      const positions = isEnd ? count : count + 1
      totals.ms += flushing * positions * costs.shallowMs
      addFlush(totals, costs, { probability: flushing, positions })
      settled[start + positions] += flushing * standing
      if (count < most) settled[start + count + 1] += going * standing * (1 - agreement)
      standing *= agreement
      reached = going
    }
  }
  return totals
}

function addFlush(
  totals: Totals,
  costs: SegmentCosts,
  { probability, positions }: { readonly probability: number; readonly positions: number },
): void {
  totals.ms += probability * passCost(costs.deep, positions)
  totals.flushes += probability
  totals.flushed += probability * positions
}

function checkShare(share: number, code: string, what: string): void {
  if (share >= 0 && share <= 1) return
  throw new ShallowDeepError({
    code,
    message: `expected a share of ${what} from 0 to 1, got ${share}`,
    details: { share },
  })
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
