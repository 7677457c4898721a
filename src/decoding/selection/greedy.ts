// Greedy: the arg-max of every exit, which the engine tells without a look at the rest of the distribution.
import { SingleSequence } from '../sequence.js'
import type { Selection } from './selection.js'
import type { Selector } from './selector.js'

/** Takes the arg-max; a draft stands where it is the deep exit's own arg-max. */
const argMax: Selector = {
  choose: ({ token }) => token,
  verify: (_draft, deep) => deep.token,
}

/** The most probable token each time. */
export function greedy(): Selection {
  return {
    settings: {},
    width: 1,
    needs: [],
    numCandidates: 0,
    check: () => undefined,
    start: (start) => new SingleSequence(start, argMax),
  }
}
