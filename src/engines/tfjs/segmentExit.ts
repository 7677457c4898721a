// What a segment's exit is asked for.
import type { ExitChoice, ExitFeature } from '../../decoding/index.js'

/**
 * Answers that need nothing but the logits: the best token (int32 [N]); or, [N, 5], the two best ones, their logits, and the
 * best one's probability.
 */
export type PackedChoice = 'token' | 'probabilities'

/** The one of these that answers a list of features, if any does. */
export function packedChoice(features: readonly ExitFeature[]): PackedChoice | undefined {
  const asked = features.filter((feature) => feature !== 'logits')
  if (asked.length === 0) return 'token'
  return asked.length === 1 && asked[0] === 'probabilities' ? 'probabilities' : undefined
}

/** How a segment's exit is looked at. */
export interface SegmentExit {
  /** Positions of the pass that are asked, as rows of its states, rising. Neutral: undefined, all. */
  readonly positions?: readonly number[]
  /** The choice that would answer all that is asked: to be given if there is a way to it that costs little. */
  readonly choice: PackedChoice | undefined
  /** Whether the logits are asked for beside it. */
  readonly wantsLogits: boolean
  /** As `RunOptions.settles`, of the nth of these positions. */
  readonly settles?: (position: number, low: ExitChoice, high: ExitChoice) => boolean
}
