// What takes a token from the distribution that an exit gives, for one hypothesis.
import type { ExitChoice } from '../engine.js'

/** A token that an exit before the last gave, not yet compared with what the last one says. */
export interface Draft {
  readonly token: number
  /** What its exit said there. */
  readonly choice: ExitChoice
}

/** Takes one token after the other for one hypothesis; what it has drawn so far is its own state. */
export interface Selector {
  /** The token that is taken where an exit says this. */
  choose(choice: ExitChoice): number
  /**
   * The token at a drafted position once the deep exit has spoken: the draft's own or another, so that over all drafts
   * it is distributed as what {@link choose} takes from `deep`.
   */
  verify(draft: Draft, deep: ExitChoice): number
}
