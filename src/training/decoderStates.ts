// The states that heads and losses are functions of: one pass of the model over a batch, and from it, on demand, the
// state after any decoder layer, as distillation compares it and as the output head reads it.
import * as tf from '@tensorflow/tfjs'
import type { TokenBatch } from '../data/index.js'
import { rmsNorm, type ShallowDeepModel, type TrainingPass } from '../model/index.js'

/** One pass over a batch of N = B * T target positions. Its tensors are the caller's (tidy). */
export interface DecoderStates {
  /** State after decoder layer `layer` (from 1) and the final norm, without dropout, [N, D]. */
  normed(layer: number): tf.Tensor2D
  /** What the head reads at that layer: with dropout while training, times D^-1/2 where the model scales, [N, D]. */
  exit(layer: number): tf.Tensor2D
  /** The output head as a table, [V, D]. */
  readonly head: tf.Tensor2D
  /** The head is not trained. */
  readonly isHeadFrozen: boolean
  /** [N] int32, -100 where nothing is to be learnt. */
  readonly labels: tf.Tensor1D
}

/** Runs the model over a batch. `pass`: of a training pass; left out, the model evaluates. */
export function decoderStates(
  model: ShallowDeepModel,
  batch: TokenBatch,
  pass?: TrainingPass,
): DecoderStates {
  const { config, variables, statesModel } = model
  const { batchSize, sourceLength, targetLength } = batch
  const sources = tf.tensor2d(batch.sources, [batchSize, sourceLength], 'int32')
  const decoderInputs = tf.tensor2d(batch.decoderInputs, [batchSize, targetLength], 'int32')
  const outputs = statesModel.apply([sources, decoderInputs], {
    ...pass,
    training: pass !== undefined,
  }) as tf.Tensor3D[]
  const norm = variables.get('decoder.finalNorm') as tf.Tensor as tf.Tensor1D
  const known = new Map<number, tf.Tensor2D>()
  const normed = (layer: number): tf.Tensor2D => {
    const found = known.get(layer)
    if (found) return found
    const state = tf.reshape(outputs[layer], [-1, config.dModel]) as tf.Tensor2D
    const made = rmsNorm(state, norm, config.layerNormEpsilon)
    known.set(layer, made)
    return made
  }
  const table = variables.get(config.tieEmbeddings ? 'embedding' : 'head')!
  return {
    normed,
    exit(layer) {
      const kept = pass?.dropout?.(normed(layer)) ?? normed(layer)
      return config.scaleLogits ? tf.mul<tf.Tensor2D>(kept, config.dModel ** -0.5) : kept
    },
    head: (config.tieEmbeddings ? table : tf.transpose(table)) as tf.Tensor2D,
    isHeadFrozen: !table.trainable,
    labels: tf.tensor1d(batch.labels, 'int32'),
  }
}
