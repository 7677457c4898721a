// From options, as the command line and configuration files write them, to a policy.
import { createCalibrator } from '../../calibration/index.js'
import type { Calibrator } from '../../calibration/index.js'
import type { DecodingOptions } from '../../config/index.js'
import { ShallowDeepError } from '../../errors.js'
import { free } from './free.js'
import { full } from './full.js'
import { lossless } from './lossless.js'
import type { Policy } from './policy.js'
import { rollback } from './rollback.js'
import { staticExit } from './static.js'

/**
 * The policy that complete options ask for.
 * @param calibrator for `threshold` adaptive or calibrated: from a saved calibration. Without it, adaptive starts a new
 * one of the name `options.calibrator`.
 * Throws `decoding.no-calibration` (calibrated, but none given) and `calibration.unknown-calibrator`.
 */
export function createPolicy(
  options: Pick<DecodingOptions, 'policy' | 'exitLayer' | 'threshold' | 'rollbackBound' | 'calibrator'>,
  calibrator?: Calibrator,
): Policy {
  switch (options.policy) {
    case 'full':
      return full()
    case 'static':
      return staticExit(options.exitLayer)
    case 'free':
      return free(thresholdOf(options, calibrator))
    case 'rollback':
      return rollback(thresholdOf(options, calibrator), options.rollbackBound)
    case 'lossless':
      return lossless(thresholdOf(options, calibrator))
  }
}

function thresholdOf(
  { threshold, calibrator: name }: Pick<DecodingOptions, 'threshold' | 'calibrator'>,
  calibrator: Calibrator | undefined,
): number | Calibrator {
  if (typeof threshold === 'number') return threshold
  if (calibrator) return calibrator
  if (threshold === 'adaptive') return createCalibrator(name)
  throw new ShallowDeepError({
    code: 'decoding.no-calibration',
    message: 'threshold: calibrated needs a saved calibration, and the checkpoint has none',
    hint: 'run shallowdeep calibrate first, or give a number or adaptive',
  })
}
