// From options, as the command line and configuration files write them, to a selection.
import type { DecodingOptions } from '../../config/index.js'
import { beams } from './beams.js'
import { greedy } from './greedy.js'
import { sample } from './sample.js'
import type { Selection } from './selection.js'

/** The selection that complete options ask for: beams where there are several, a drawn one at a temperature, else greedy. */
export function createSelection(
  options: Pick<
    DecodingOptions,
    'beams' | 'lengthPenalty' | 'earlyStopping' | 'temperature' | 'topK' | 'topP' | 'seed'
  >,
): Selection {
  const { beams: numBeams, lengthPenalty, earlyStopping, temperature, topK, topP, seed } = options
  if (numBeams > 1) return beams({ beams: numBeams, lengthPenalty, earlyStopping })
  return temperature === null ? greedy() : sample({ temperature, topK, topP, seed })
}
