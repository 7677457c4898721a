// What a selection is: how the tokens of a source's hypotheses are taken from the distributions that their exits give.
// When to exit is the policy's business, in policies/.
import type { LoopOptions } from '../../config/index.js'
import type { ExitFeature } from '../engine.js'
import type { Policy } from '../policies/index.js'
import type { Sequence, SequenceStart } from '../sequence.js'

/** How tokens are taken from the exits' distributions. */
export interface Selection {
  /** What it was made with, by the names of the options, for results to tell; {} = greedy. */
  readonly settings: Readonly<Record<string, number | boolean | null>>
  /** Hypotheses of a source decoded side by side, each a row of the engine. */
  readonly width: number
  /** What the exit that a token is taken from must be asked for. */
  readonly needs: readonly ExitFeature[]
  /** How many candidates an exit is to tell; neutral: 0. */
  readonly numCandidates: number
  /** Throws where the policy's exits are not what it can take tokens from, or an option does not apply. */
  check(policy: Policy, options: Pick<LoopOptions, 'flushAtEnd' | 'evidence'>): void
  /** Begins a source. */
  start(start: SequenceStart): Sequence
}
