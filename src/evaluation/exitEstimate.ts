// How the next sequences are expected to leave, estimated from what is known without a clock: a calibration's evidence,
// and the sequences that were decoded with early exits lately.
import type { Calibration } from '../calibration/index.js'
import type { RowResult } from '../decoding/index.js'

/** Counts of tokens that an estimate rests on; need not be whole. */
export interface ExitCounts {
  readonly tokens: number
  /** Of these, those that would leave early. */
  readonly leaving: number
  /** Tokens that left early and were looked at by a flush, and of these those that stood. */
  readonly verified: number
  readonly standing: number
}

/** Where nothing is known, a few tokens that all leave and stand: early exits are tried until they show not to pay. */
export const OPTIMISTIC: ExitCounts = { tokens: 4, leaving: 4, verified: 4, standing: 4 }

/** What a calibration's evidence counts at most, in tokens, beside what is seen. */
const CALIBRATION_TOKENS = 64

/**
 * What a calibration's evidence says of a threshold, by its histogram, linearly within a bin; {@link OPTIMISTIC} without
 * evidence.
 */
export function countEvidence({ histogram }: Pick<Calibration, 'histogram'>, threshold: number): ExitCounts {
  const agree = countAbove(histogram.agree, threshold)
  const disagree = countAbove(histogram.disagree, threshold)
  const total = countAbove(histogram.agree, 0) + countAbove(histogram.disagree, 0)
  if (total === 0) return OPTIMISTIC
  const scale = Math.min(1, CALIBRATION_TOKENS / total)
  const leaving = scale * (agree + disagree)
  return { tokens: scale * total, leaving, verified: leaving, standing: scale * agree }
}

function countAbove(bins: readonly number[], threshold: number): number {
  return bins.reduce((sum, count, i) => {
    const shareAbove = Math.min(1, Math.max(0, i + 1 - threshold * bins.length))
    return sum + count * shareAbove
  }, 0)
}

/** A sequence that was decoded with early exits. */
export interface SeenSequence extends Pick<RowResult, 'confidences' | 'exits'> {
  /** Confidences of the tokens that left early and fell at a flush. */
  readonly fallen: readonly number[]
}

/** What a sequence tells of a threshold, its own or another. */
export function countExits({ confidences, exits, fallen }: SeenSequence, threshold: number): ExitCounts {
  let [leaving, standing] = [0, 0]
  for (const [position, confidence] of confidences.entries()) {
    if (confidence === null || !(confidence > threshold)) continue
    leaving++
    if (exits[position] === 'shallow') standing++
  }
  const numFallen = fallen.filter((confidence) => confidence > threshold).length
  return { tokens: confidences.length, leaving, verified: standing + numFallen, standing }
}

/** Sums counts. */
export function addCounts(all: readonly ExitCounts[]): ExitCounts {
  const sum = (of: (counts: ExitCounts) => number) => all.reduce((total, counts) => total + of(counts), 0)
  return {
    tokens: sum(({ tokens }) => tokens),
    leaving: sum(({ leaving }) => leaving),
    verified: sum(({ verified }) => verified),
    standing: sum(({ standing }) => standing),
  }
}
