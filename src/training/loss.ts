// The joint loss of a shallow-deep model as a pure function of the two exits' states: cross-entropy at both exits and,
// as an option, distillation of the deep logits into the shallow ones (Bae et al. 2023, section 3.1 and appendix).
//
// One custom gradient for all of it: the gradients with respect to states and head are computed along with the value,
// so that no tape keeps a [N, V] tensor, no one-hot matrix is made, and distillation reuses the two softmax products.
import * as tf from '@tensorflow/tfjs'
import { IGNORED_LABEL } from '../data/index.js'
import { isRecording, matMulTransposed, scatterAddRows } from '../model/index.js'

export interface JointLossOptions {
  /** Weight of the shallow and of the deep cross-entropy; see {@link exitWeights}. */
  readonly shallowWeight: number
  readonly deepWeight: number
  /** Weight of KL(deep || shallow), deep detached, temperature 1. Neutral: 0. */
  readonly distillationWeight: number
  /** Label smoothing e: (1 - e) nll + e/V sum(-log p). Neutral: 0. */
  readonly labelSmoothing: number
  /** Number of valid tokens of the whole accumulated batch: what every sum is divided by. */
  readonly numTokens: number
}

/** What {@link jointLoss} takes: states after final norm and scale, [N, D], and the head as a table [V, D]. */
export interface ExitStates {
  readonly shallow: tf.Tensor2D
  readonly deep: tf.Tensor2D
  readonly head: tf.Tensor2D
  /** [N] int32, {@link IGNORED_LABEL} where nothing is to be learnt. */
  readonly labels: tf.Tensor1D
}

/** The order of the values that {@link jointLoss} returns. */
export const LOSS_PARTS = ['total', 'shallow', 'deep', 'distillation'] as const

/**
 * The loss as a tensor [4] in the order of {@link LOSS_PARTS}: the weighted total, both cross-entropies and the
 * divergence (each a sum over valid tokens divided by `numTokens`). Only the total has a gradient.
 */
export function jointLoss(states: ExitStates, options: JointLossOptions): tf.Tensor1D {
  const withGradient = isRecording()
  const op = tf.customGrad((shallow, deep, head, save) => {
    const inputs = { shallow, deep, head, labels: states.labels } as ExitStates
    const { values, gradients } = evaluateJointLoss(inputs, options, withGradient)
    ;(save as unknown as tf.GradSaveFunc)(gradients)
    return {
      value: values,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const scale = tf.slice(dy, [0], [1])
        return saved.map((gradient) => tf.mul(gradient, scale))
      },
    }
  })
  return op(states.shallow, states.deep, states.head) as tf.Tensor1D
}

function evaluateJointLoss(states: ExitStates, options: JointLossOptions, withGradient: boolean) {
  const { labelSmoothing, shallowWeight: a, deepWeight: b, distillationWeight: k } = options
  const [values, ...gradients] = tf.tidy(() => {
    const { shallow, deep, head } = states
    const vocabSize = head.shape[0]
    const isValid = tf.notEqual(states.labels, IGNORED_LABEL)
    const weight = tf.expandDims(tf.div(tf.cast(isValid, 'float32'), options.numTokens), 1) // [N, 1]
    const labels = tf.maximum(states.labels, tf.scalar(0, 'int32')) as tf.Tensor1D
    const labelRows = tf.gather(head, labels) // [N, D]
    const headSum = tf.sum(head, 0, true) // [1, D]
    // Row of the head that the target distribution expects: (1 - e) E[label] + e/V sum(E).
    const target = tf.add(tf.mul(labelRows, 1 - labelSmoothing), tf.mul(headSum, labelSmoothing / vocabSize))

    const s = softmaxParts(shallow, head)
    const d = softmaxParts(deep, head)
    const meanOver = (perRow: tf.Tensor) => tf.sum(tf.mul(perRow, weight))
    // -sum(target log p) = logSumExp - h . target, since the target's masses sum to one.
    const shallowLoss = meanOver(tf.sub(s.logSumExp, rowDot(shallow, target)))
    const deepLoss = meanOver(tf.sub(d.logSumExp, rowDot(deep, target)))
    const needsExpected = withGradient || k > 0
    const deepRows = needsExpected ? expectedRows(d, head) : undefined
    // KL(deep || shallow) = (h_deep - h_shallow) . E_deep[row] - (logSumExp_deep - logSumExp_shallow).
    const divergence =
      k > 0
        ? meanOver(tf.sub(rowDot(tf.sub(deep, shallow), deepRows!), tf.sub(d.logSumExp, s.logSumExp)))
        : tf.scalar(0)
    const total = tf.addN([tf.mul(shallowLoss, a), tf.mul(deepLoss, b), tf.mul(divergence, k)])
    const values = tf.stack([total, shallowLoss, deepLoss, divergence])
    if (!withGradient) return [values]

    const shallowRows = expectedRows(s, head)
    let dShallow = tf.mul(tf.sub(shallowRows, target), a)
    if (k > 0) dShallow = tf.add(dShallow, tf.mul(tf.sub(shallowRows, deepRows!), k))
    const dDeep = tf.mul(tf.sub(deepRows!, target), b)

    const weightedShallow = tf.mul(shallow, weight)
    const weightedDeep = tf.mul(deep, tf.mul(weight, b))
    const towardsTarget = tf.add(tf.mul(weightedShallow, a), weightedDeep) as tf.Tensor2D
    const fromShallow = tf.div(tf.mul(weightedShallow, a + k), s.sum) as tf.Tensor2D
    const fromDeep = tf.div(k > 0 ? tf.sub(weightedDeep, tf.mul(weightedShallow, k)) : weightedDeep, d.sum)
    const dHead = tf.addN([
      matMulTransposed(s.exp, fromShallow, true, false),
      matMulTransposed(d.exp, fromDeep as tf.Tensor2D, true, false),
      tf.mul(scatterAddRows(towardsTarget, labels, vocabSize), labelSmoothing - 1),
    ])
    const smoothed = tf.mul(tf.sum(towardsTarget, 0, true), labelSmoothing / vocabSize)
    return [values, tf.mul(dShallow, weight), tf.mul(dDeep, weight), tf.sub(dHead, smoothed)]
  })
  return { values, gradients }
}

interface SoftmaxParts {
  readonly exp: tf.Tensor2D // [N, V], exp(logits - max)
  readonly sum: tf.Tensor2D // [N, 1]
  readonly logSumExp: tf.Tensor2D // [N, 1]
}

function softmaxParts(states: tf.Tensor2D, head: tf.Tensor2D): SoftmaxParts {
  const [exp, sum, logSumExp] = tf.tidy(() => {
    const logits = matMulTransposed(states, head, false, true)
    const max = tf.max(logits, 1, true)
    const exp = tf.exp(tf.sub(logits, max))
    const sum = tf.sum(exp, 1, true)
    return [exp, sum, tf.add(tf.log(sum), max)]
  })
  return { exp, sum, logSumExp } as SoftmaxParts
}

/** The head's row expected under the softmax: p E, [N, D]. */
function expectedRows(softmax: SoftmaxParts, head: tf.Tensor2D): tf.Tensor2D {
  return tf.div(tf.matMul(softmax.exp, head), softmax.sum)
}

function rowDot(x: tf.Tensor, y: tf.Tensor): tf.Tensor {
  return tf.sum(tf.mul(x, y), 1, true)
}

/** How the two cross-entropies are weighted: by layer index (S and L over S + L, the paper's), equally, or as given. */
export type ExitWeighting = 'layer-index' | 'equal' | readonly [shallow: number, deep: number]

/** The pair of weights of the two exits. */
export function exitWeights(
  weighting: ExitWeighting,
  layers: { readonly shallowLayers: number; readonly decoderLayers: number },
): { readonly shallowWeight: number; readonly deepWeight: number } {
  if (weighting === 'equal') return { shallowWeight: 0.5, deepWeight: 0.5 }
  if (weighting === 'layer-index') {
    const sum = layers.shallowLayers + layers.decoderLayers
    return { shallowWeight: layers.shallowLayers / sum, deepWeight: layers.decoderLayers / sum }
  }
  return { shallowWeight: weighting[0], deepWeight: weighting[1] }
}
