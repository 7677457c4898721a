// Beam search: of all continuations of a source's running hypotheses the best go on, those that end are kept by score.
import { ShallowDeepError } from '../../errors.js'
import { BeamSequence } from '../beamSequence.js'
import type { BeamOptions } from './beamSearch.js'
import type { Selection } from './selection.js'

/**
 * The best of `beams` hypotheses by the sum of their log-probabilities over a power of their length, as transformers'
 * generate finds it. Its `check` throws `decoding.beams-policy` for policies whose exits depend on a confidence:
 * hypotheses are compared token by token, and probabilities of different exits are not comparable. And
 * `decoding.beams-evidence` for evidence, and a flush at the end for it, which such policies gather.
 */
export function beams(options: Partial<BeamOptions> & Pick<BeamOptions, 'beams'>): Selection {
  const complete = { lengthPenalty: 1, earlyStopping: false, ...options }
  const numCandidates = 2 * complete.beams
  return {
    settings: { ...complete },
    width: complete.beams,
    needs: ['candidates'],
    numCandidates,
    check: ({ name, threshold }, { flushAtEnd, evidence }) => {
      if (threshold !== null) throw noBeamsUnder(name)
      if (flushAtEnd || evidence) throw noEvidence(flushAtEnd ? 'flushAtEnd' : 'evidence')
    },
    start: (start) => new BeamSequence(start, complete),
  }
}

function noBeamsUnder(policy: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'decoding.beams-policy',
    message: `beams: need policy full or static, whose hypotheses all leave by the same exit, got ${policy}`,
    hint: 'probabilities of different exits cannot be compared; give --policy full, or leave beams out',
    details: { policy },
  })
}

function noEvidence(option: 'flushAtEnd' | 'evidence'): ShallowDeepError {
  return new ShallowDeepError({
    code: 'decoding.beams-evidence',
    message: `${option}: gathers evidence for a threshold, and beams have none`,
    hint: `leave ${option} out`,
  })
}
