// The confidence head on the host: two numbers of one state, for which no graph is worth its call.
import type { HostWeights, ModelConfig } from '../../config/index.js'
import { noConfidenceHeadError } from '../checks.js'

/**
 * Probability that the deep exit agrees with the shallow one, of a shallow state [D] that is not normed: see
 * model/functions.ts. Throws `engine.no-confidence-head`.
 */
export function agreementOf(
  state: Float32Array,
  { config, weights }: { readonly config: ModelConfig; readonly weights: HostWeights },
): number {
  const weight = weights.get('confidenceHead.weight')
  const bias = weights.get('confidenceHead.bias')
  if (!weight || !bias) throw noConfidenceHeadError()
  const norm = weights.get('decoder.finalNorm')!.data
  let squares = 0
  for (const x of state) squares += x * x
  const inverse = 1 / Math.sqrt(squares / state.length + config.layerNormEpsilon)
  // Column 0 disagrees, column 1 agrees.
  let difference = bias.data[0] - bias.data[1]
  for (let d = 0; d < state.length; d++) {
    difference += state[d] * inverse * norm[d] * (weight.data[2 * d] - weight.data[2 * d + 1])
  }
  return 1 / (1 + Math.exp(difference))
}
