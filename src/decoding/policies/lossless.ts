// `lossless`: free's exits as a draft that each flush verifies (self-speculative decoding, as in LayerSkip). Its output
// is that of `full`.
import type { Calibrator } from '../../calibration/index.js'
import { free } from './free.js'
import type { Policy } from './policy.js'

/**
 * As {@link free}, but the first pending token that the deep exit would not have chosen is replaced by the deep one, and
 * what came after it is dropped.
 * @param threshold in [0, 1]: how sure a draft must be; or a calibrator, which then also receives the evidence
 */
export function lossless(threshold: number | Calibrator = 0.9): Policy {
  return {
    ...free(threshold),
    name: 'lossless',
    verify: ({ emitted, deep }) => {
      const firstDifference = emitted.findIndex((token, i) => token !== deep[i])
      return firstDifference === -1 ? emitted.length : firstDifference
    },
  }
}
