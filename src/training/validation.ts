// Teacher-forced validation: cross-entropy of both exits without smoothing, in evaluation mode, and how often they agree.
import * as tf from '@tensorflow/tfjs'
import { IGNORED_LABEL, type TokenBatch } from '../data/index.js'
import { matMulTransposed, type ShallowDeepModel } from '../model/index.js'
import { decoderStates } from './decoderStates.js'
import { exitLoss } from './loss.js'

export interface ExitLosses {
  /** Mean cross-entropy over valid tokens, natural log. */
  readonly shallowLoss: number
  readonly deepLoss: number
  /** Share of valid tokens at which both exits choose the same token, in [0, 1]. */
  readonly agreement: number
}

const UNSMOOTHED = { weights: [1, 1], labelSmoothing: 0, numTokens: 1 }

/** Measures a model on batches; frees everything it makes. */
export async function validateLosses(
  model: ShallowDeepModel,
  batches: Iterable<TokenBatch>,
): Promise<ExitLosses> {
  const { shallowLayers, decoderLayers } = model.config
  let [shallow, deep, agreeing, numTokens] = [0, 0, 0, 0]
  for (const batch of batches) {
    const sums = tf.tidy(() => {
      const { exit, head, labels } = decoderStates(model, batch)
      const exits = [exit(shallowLayers), exit(decoderLayers)]
      const [shallow, deep] = exits.map((state) => tf.argMax(matMulTransposed(state, head, false, true), 1))
      const isValid = tf.notEqual(labels, IGNORED_LABEL)
      const agrees = tf.logicalAnd(isValid, tf.equal(shallow, deep))
      const count = (flags: tf.Tensor) => tf.sum(tf.cast(flags, 'float32'))
      const losses = exitLoss({ exits, head, labels }, UNSMOOTHED)
      return tf.concat([losses, tf.stack([count(agrees), count(isValid)])])
    })
    const [, , shallowSum, deepSum, agreeSum, validSum] = await sums.data()
    sums.dispose()
    shallow += shallowSum
    deep += deepSum
    agreeing += agreeSum
    numTokens += validSum
  }
  return { shallowLoss: shallow / numTokens, deepLoss: deep / numTokens, agreement: agreeing / numTokens }
}
