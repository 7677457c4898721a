// `rollback`: free's exits as a draft that each flush undoes only where the deep exit is surprised by it (BiLD, Kim et al.
// 2023, arXiv 2302.07863, rollback policy). Between `free` and `lossless`, and lossy.
import type { Calibrator } from '../../calibration/index.js'
import { free } from './free.js'
import type { Policy } from './policy.js'

/** The bound where none is given, in nats: a token stands if the deep exit gives it at least 13.5 %. */
const DEFAULT_BOUND = 2

/**
 * As {@link free}, but the first pending token whose cross-entropy under the deep exit, -ln p(token), exceeds the bound is
 * replaced by the one that is taken there, and what came after it is dropped. Greedily, a token at most ln 2 is always the
 * deep exit's best: below that bound the output is that of `full`; with an infinite one it is that of `free`.
 * Probabilities are those before temperature, top-k and top-p.
 * @param threshold in [0, 1]: how sure a draft must be; or a calibrator, which then also receives the evidence it wants
 * @param bound 0 or more, in nats
 */
export function rollback(threshold: number | Calibrator = 0.9, bound: number = DEFAULT_BOUND): Policy {
  return {
    ...free(threshold),
    name: 'rollback',
    verify: {
      needs: ['logits'],
      token: ({ token }, deep, selector) =>
        crossEntropy(deep.logits!, token) > bound ? selector.choose(deep) : token,
    },
  }
}

/** -ln of the token's probability by logits [V], in nats. */
function crossEntropy(logits: Float32Array, token: number): number {
  let best = -Infinity
  for (const logit of logits) if (logit > best) best = logit
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - best)
  return best + Math.log(sum) - logits[token]
}
