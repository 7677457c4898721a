// Training of the confidence head: a 2-way classifier on the shallow state learns whether both exits choose the same token
// (the meta classifier of CALM, Schuster et al. 2022, section 3.5, and FREE, Bae et al. 2023). The states are detached: the
// head looks at the model and does not change it.
import * as tf from '@tensorflow/tfjs'
import { IGNORED_LABEL } from '../data/index.js'
import { isRecording, matMulTransposed, type ConfidenceHeadWeights } from '../model/index.js'

/** What both exits say: states after the final norm, [N, D], the output head as a table [V, D], labels [N] (int32). */
export interface AgreementInputs {
  readonly shallow: tf.Tensor2D
  readonly deep: tf.Tensor2D
  readonly head: tf.Tensor2D
  readonly labels: tf.Tensor1D
}

/** Whether both exits choose the same token, [N] of 0 and 1 (float32); ties go to the lowest id, as in decoding. */
export function exitsAgree({ shallow, deep, head }: Omit<AgreementInputs, 'labels'>): tf.Tensor1D {
  return tf.tidy(() => {
    const [a, b] = [shallow, deep].map((state) => tf.argMax(matMulTransposed(state, head, false, true), 1))
    return tf.cast(tf.equal(a, b), 'float32') as tf.Tensor1D
  })
}

/**
 * Cross-entropy of the confidence head against the exits' agreement, a scalar: the sum over valid tokens over `numTokens`.
 * Its gradient is for the confidence head only.
 */
export function confidenceLoss(
  inputs: AgreementInputs,
  confidenceHead: ConfidenceHeadWeights,
  numTokens: number,
): tf.Scalar {
  const withGradient = isRecording()
  const op = tf.customGrad((weight, bias, save) => {
    const [value, ...gradients] = tf.tidy(() => {
      const agrees = exitsAgree(inputs)
      const target = tf.stack([tf.sub(1, agrees), agrees], 1) // [N, 2]
      const isValid = tf.cast(tf.notEqual(inputs.labels, IGNORED_LABEL), 'float32')
      const share = tf.expandDims(tf.div(isValid, numTokens), 1)
      const logits = tf.add(tf.matMul(inputs.shallow, weight as tf.Tensor2D), bias as tf.Tensor1D)
      const logP = tf.logSoftmax(logits)
      const loss = tf.neg(tf.sum(tf.mul(tf.mul(logP, target), share)))
      if (!withGradient) return [loss]
      const dLogits = tf.mul(tf.sub(tf.exp(logP), target), share) as tf.Tensor2D
      return [loss, matMulTransposed(inputs.shallow, dLogits, true, false), tf.sum(dLogits, 0)]
    })
    ;(save as unknown as tf.GradSaveFunc)(gradients)
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => saved.map((gradient) => tf.mul(gradient, dy)),
    }
  })
  return op(confidenceHead.weight, confidenceHead.bias) as tf.Scalar
}

/** The confidence head among a model's weights; undefined where it has none. */
export function confidenceHeadOf(
  variables: ReadonlyMap<string, tf.Tensor>,
): ConfidenceHeadWeights | undefined {
  const weight = variables.get('confidenceHead.weight') as tf.Tensor2D | undefined
  const bias = variables.get('confidenceHead.bias') as tf.Tensor1D | undefined
  return weight && bias && { weight, bias }
}
