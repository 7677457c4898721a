// The loss of one batch through the model, and its gradients, stacked by parameter group.
import * as tf from '@tensorflow/tfjs'
import type { TokenBatch } from '../data/index.js'
import { discardTape, rmsNorm, type Dropout, type ShallowDeepModel } from '../model/index.js'
import { jointLoss, type JointLossOptions } from './loss.js'
import type { ParameterGroup } from './parameterGroups.js'

/** Tensors of a batch; the caller disposes them (tidy). */
function batchTensors(batch: TokenBatch) {
  const { batchSize, sourceLength, targetLength } = batch
  return {
    sources: tf.tensor2d(batch.sources, [batchSize, sourceLength], 'int32'),
    decoderInputs: tf.tensor2d(batch.decoderInputs, [batchSize, targetLength], 'int32'),
    labels: tf.tensor1d(batch.labels, 'int32'),
  }
}

/** States of both exits [B*T, D] after the final norm and, where the model scales, D^-1/2; and the head [V, D]. */
export function exitStates(
  model: ShallowDeepModel,
  batch: TokenBatch,
  dropout?: Dropout,
): { shallow: tf.Tensor2D; deep: tf.Tensor2D; head: tf.Tensor2D; labels: tf.Tensor1D } {
  const { config, variables, statesModel } = model
  const { sources, decoderInputs, labels } = batchTensors(batch)
  const outputs = statesModel.apply([sources, decoderInputs], {
    training: dropout !== undefined,
    dropout,
  }) as tf.Tensor3D[]
  const norm = variables.get('decoder.finalNorm') as tf.Tensor as tf.Tensor1D
  const exit = (layer: number) => {
    const state = tf.reshape(outputs[layer], [-1, config.dModel]) as tf.Tensor2D
    const normed = rmsNorm(state, norm, config.layerNormEpsilon)
    const kept = dropout?.(normed) ?? normed
    return config.scaleLogits ? tf.mul<tf.Tensor2D>(kept, config.dModel ** -0.5) : kept
  }
  const head = config.tieEmbeddings ? variables.get('embedding')! : tf.transpose(variables.get('head')!)
  return {
    shallow: exit(config.shallowLayers),
    deep: exit(config.decoderLayers),
    head: head as tf.Tensor2D,
    labels,
  }
}

export interface BatchGradients {
  /** The parts of the loss ({@link LOSS_PARTS}), [4]. */
  readonly loss: tf.Tensor1D
  /** Stacked gradients in the order of the groups. */
  readonly gradients: tf.Tensor[]
}

/** Loss and gradients of one (micro-)batch; the caller disposes all tensors. */
export function batchGradients(
  model: ShallowDeepModel,
  batch: TokenBatch,
  options: {
    readonly loss: JointLossOptions
    readonly groups: readonly ParameterGroup[]
    readonly dropout: Dropout
  },
): BatchGradients {
  let loss: tf.Tensor1D | undefined
  const total = () => {
    loss = tf.keep(jointLoss(exitStates(model, batch, options.dropout), options.loss))
    return tf.reshape(tf.slice(loss, [0], [1]), []) as tf.Scalar
  }
  try {
    const gradients = tf.tidy(() => {
      const { grads } = tf.variableGrads(total, [...model.variables.values()])
      const byName = Object.fromEntries(
        [...model.variables].map(([name, variable]) => [name, grads[variable.name]]),
      )
      return options.groups.map((group) => group.stack(byName))
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
