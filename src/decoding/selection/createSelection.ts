// From options, as the command line and configuration files write them, to a selection.
import type { DecodingOptions } from '../../config/index.js'
import { beams } from './beams.js'
import { greedy } from './greedy.js'
import type { Selection } from './selection.js'

/** The selection that complete options ask for: beams where there is more than one, else greedy. */
export function createSelection(
  options: Pick<DecodingOptions, 'beams' | 'lengthPenalty' | 'earlyStopping'>,
): Selection {
  return options.beams > 1 ? beams(options) : greedy()
}
