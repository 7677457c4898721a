// Learning rate schedules: linear warm-up, then one of the usual decays.
import type { TrainingConfig } from '../config/index.js'

/**
 * The learning rate of a step (from 1). After the warm-up: `cosine` and `linear` fall to 0 at `totalSteps`,
 * `inverse-sqrt` falls with the root of the step, `constant` stays.
 */
export function learningRateAt(
  step: number,
  totalSteps: number,
  options: Pick<TrainingConfig, 'learningRate' | 'schedule' | 'warmupSteps'>,
): number {
  const { learningRate, schedule, warmupSteps } = options
  if (step <= warmupSteps) return (learningRate * step) / warmupSteps
  if (schedule === 'constant') return learningRate
  if (schedule === 'inverse-sqrt') return learningRate * Math.sqrt(Math.max(1, warmupSteps) / step)
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, totalSteps - warmupSteps))
  return learningRate * (schedule === 'linear' ? 1 - progress : 0.5 * (1 + Math.cos(Math.PI * progress)))
}
