// Teacher-forced validation: cross-entropy of both exits without smoothing, in evaluation mode, and how often they agree.
import * as tf from '@tensorflow/tfjs'
import { IGNORED_LABEL, type TokenBatch } from '../data/index.js'
import type { ShallowDeepModel } from '../model/index.js'
import { confidenceHeadOf, confidenceLoss, exitsAgree } from './confidenceHead.js'
import { decoderStates } from './decoderStates.js'
import { exitLoss } from './loss.js'
import { agreementInputs } from './objective.js'

export interface ExitLosses {
  /** Mean cross-entropy over valid tokens, natural log. */
  readonly shallowLoss: number
  readonly deepLoss: number
  /** Share of valid tokens at which both exits choose the same token, in [0, 1]. */
  readonly agreement: number
  /** Mean cross-entropy of the confidence head; only where the model has one. */
  readonly confidenceLoss?: number
}

const UNSMOOTHED = { weights: [1, 1], labelSmoothing: 0, numTokens: 1 }

/** Measures a model on batches; frees everything it makes. */
export async function validateLosses(
  model: ShallowDeepModel,
  batches: Iterable<TokenBatch>,
): Promise<ExitLosses> {
  const { shallowLayers, decoderLayers } = model.config
  const confidenceHead = confidenceHeadOf(model.variables)
  let [shallow, deep, agreeing, confidence, numTokens] = [0, 0, 0, 0, 0]
  for (const batch of batches) {
    const sums = tf.tidy(() => {
      const states = decoderStates(model, batch)
      const { exit, head, labels } = states
      const inputs = agreementInputs(model, states)
      const isValid = tf.cast(tf.notEqual(labels, IGNORED_LABEL), 'float32')
      const losses = exitLoss({ exits: [exit(shallowLayers), exit(decoderLayers)], head, labels }, UNSMOOTHED)
      const counts = [tf.sum(tf.mul(isValid, exitsAgree(inputs))), tf.sum(isValid)]
      const confidence = confidenceHead ? confidenceLoss(inputs, confidenceHead, 1) : tf.scalar(0)
      return tf.concat([losses, tf.stack([...counts, confidence])])
    })
    const [, , shallowSum, deepSum, agreeSum, validSum, confidenceSum] = await sums.data()
    sums.dispose()
    shallow += shallowSum
    deep += deepSum
    agreeing += agreeSum
    confidence += confidenceSum
    numTokens += validSum
  }
  return {
    shallowLoss: shallow / numTokens,
    deepLoss: deep / numTokens,
    agreement: agreeing / numTokens,
    ...(confidenceHead && { confidenceLoss: confidence / numTokens }),
  }
}
