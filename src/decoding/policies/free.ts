// `free`: shallow exits with synchronized parallel decoding (FREE, arXiv 2310.05424, section 3.2).
import type { Calibrator } from '../../calibration/index.js'
import type { Policy } from './policy.js'
import { shallowAndDeep } from './policy.js'

/**
 * Exit shallow iff confidence > threshold; the states that left wait, and go through the deep layers with the next token
 * that needs them. Emissions are final.
 * @param threshold in [0, 1], 1 = never exit; or a calibrator, which then also receives the evidence it wants
 */
export function free(threshold: number | Calibrator = 0.9): Policy {
  return {
    name: 'free',
    threshold,
    exits: shallowAndDeep,
    isEarly: true,
    leaves: (step) => step.confidence > step.threshold && !step.isStackFull,
  }
}
