// The loss of one batch through the model, and its gradients, stacked by parameter group.
import * as tf from '@tensorflow/tfjs'
import type { TokenBatch } from '../data/index.js'
import { discardTape, type ShallowDeepModel } from '../model/index.js'
import { batchLoss, type BatchLossOptions } from './objective.js'
import type { ParameterGroup } from './parameterGroups.js'

export interface BatchGradients {
  /** The parts of the loss ({@link LOSS_PARTS}), [4]. */
  readonly loss: tf.Tensor1D
  /** Stacked gradients in the order of the groups. */
  readonly gradients: tf.Tensor[]
}

/** Loss and gradients of one (micro-)batch, of the parameters in the groups; the caller disposes all tensors. */
export function batchGradients(
  model: ShallowDeepModel,
  batch: TokenBatch,
  options: BatchLossOptions & { readonly groups: readonly ParameterGroup[] },
): BatchGradients {
  const { groups } = options
  let loss: tf.Tensor1D | undefined
  const total = () => {
    loss = tf.keep(batchLoss(model, batch, options))
    return tf.reshape(tf.slice(loss, [0], [1]), []) as tf.Scalar
  }
  try {
    const gradients = tf.tidy(() => {
      const { grads } = tf.variableGrads(
        total,
        groups.flatMap(({ variables }) => variables),
      )
      return groups.map((group) => {
        // A layer that was left out has no gradient.
        const members = group.variables.map((x) => grads[x.name] ?? tf.zerosLike(x))
        return group.stack(Object.fromEntries(group.names.map((name, i) => [name, members[i]])))
      })
    })
    return { loss: loss!, gradients }
  } catch (error) {
    discardTape()
    loss?.dispose()
    throw error
  }
}

/** Adds stacked gradients; disposes both operands. */
export function addGradients(a: tf.Tensor[], b: tf.Tensor[]): tf.Tensor[] {
  return a.map((left, i) => {
    const sum = tf.add(left, b[i])
    tf.dispose([left, b[i]])
    return sum
  })
}

/**
 * Scales all gradients so that their joint L2 norm is at most `maxNorm` (0: left alone). Disposes its input and returns
 * the clipped gradients with the norm before clipping, a scalar.
 */
export function clipGradients(
  gradients: tf.Tensor[],
  maxNorm: number,
): { gradients: tf.Tensor[]; norm: tf.Scalar } {
  // Rows first, then their sums: wasm adds up one by one in float32, and over millions at once loses percents.
  const sumOfSquares = (g: tf.Tensor) => tf.sum(tf.sum(tf.square(g), -1))
  const norm = tf.tidy(() => tf.sqrt(tf.addN(gradients.map(sumOfSquares)))) as tf.Scalar
  if (maxNorm === 0) return { gradients, norm }
  const clipped = tf.tidy(() => {
    const factor = tf.minimum(tf.div(maxNorm, tf.add(norm, 1e-6)), 1)
    return gradients.map((g) => tf.mul(g, factor))
  })
  tf.dispose(gradients)
  return { gradients: clipped, norm }
}
