// `lossless`: free's exits as a draft that each flush verifies (self-speculative decoding, as in LayerSkip). Its output
// is that of `full`.
import type { Calibrator } from '../../calibration/index.js'
import { free } from './free.js'
import type { Policy } from './policy.js'

/**
 * As {@link free}, but the first pending token that the selection does not let stand is replaced by the deep exit's, and
 * what came after it is dropped.
 * @param threshold in [0, 1]: how sure a draft must be; or a calibrator, which then also receives the evidence it wants
 */
export function lossless(threshold: number | Calibrator = 0.9): Policy {
  return {
    ...free(threshold),
    name: 'lossless',
    verify: { needs: [], token: (draft, deep, selector) => selector.verify(draft, deep) },
  }
}
