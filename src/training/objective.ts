// What a training minimises, composed of pure functions over the states of one pass: the exits' cross-entropies, the
// distillation, the confidence head's loss, as the configuration has them.
import * as tf from '@tensorflow/tfjs'
import type { ModelConfig, TrainingConfig } from '../config/index.js'
import type { TokenBatch } from '../data/index.js'
import { product, type ShallowDeepModel, type TrainingPass } from '../model/index.js'
import { decoderStates, type DecoderStates } from './decoderStates.js'
import { confidenceHeadOf, confidenceLoss, type AgreementInputs } from './confidenceHead.js'
import { calmExits, jointExits, type TrainedExit } from './exitWeights.js'
import { exitLoss } from './loss.js'
import { fixedPairs, stateDistillation, type StatePairing } from './stateDistillation.js'

/** The order of the values that {@link batchLoss} returns. */
export const LOSS_PARTS = ['total', 'shallow', 'deep', 'distillation', 'confidence'] as const

/** What is minimised. */
export interface Objective {
  /** From the lowest to the last, the shallow and the deep one among them. */
  readonly exits: readonly TrainedExit[]
  readonly distillation: Distillation
  /** Label smoothing e: (1 - e) nll + e/V sum(-log p). Neutral: 0. */
  readonly labelSmoothing: number
}

/** What the shallow exit learns from the deep one, and its weight alpha. */
export type Distillation =
  | { readonly kind: 'none' }
  | { readonly kind: 'logits'; readonly weight: number; readonly temperature: number }
  | { readonly kind: StatePairing; readonly weight: number }

/** What a configuration says of the objective. */
type ObjectiveConfig = Pick<
  TrainingConfig,
  | 'loss'
  | 'exitWeighting'
  | 'distillation'
  | 'distillationWeight'
  | 'distillationTemperature'
  | 'labelSmoothing'
>

/** The objective of a training of a model. */
export function objectiveOf(training: ObjectiveConfig, model: ModelConfig): Objective {
  const { loss, exitWeighting, labelSmoothing } = training
  // A pair of weights belongs to the joint loss (refineTraining).
  const exits =
    loss === 'calm' && typeof exitWeighting === 'string'
      ? calmExits(exitWeighting, model)
      : jointExits(exitWeighting, model)
  return { exits, distillation: distillationOf(training), labelSmoothing }
}

function distillationOf(training: ObjectiveConfig): Distillation {
  const { distillation: kind, distillationWeight: weight, distillationTemperature: temperature } = training
  // Weight 0 has nothing to add, and need not be computed.
  if (kind === 'none' || weight === 0) return { kind: 'none' }
  return kind === 'logits' ? { kind, weight, temperature } : { kind, weight }
}

export interface BatchLossOptions {
  readonly objective: Objective
  /** Number of valid tokens of the whole accumulated batch: what every sum is divided by. */
  readonly numTokens: number
  /** How the model is run; left out, it evaluates. */
  readonly pass?: TrainingPass
  /** What student states go through before they are compared, [D, D]. Neutral: undefined, nothing. */
  readonly distillationMap?: tf.Tensor2D
}

/**
 * The loss of a batch, or of a part of one, as a tensor in the order of {@link LOSS_PARTS}: the weighted total, the
 * cross-entropies of the shallow and of the deep exit, the distillation loss, not yet weighted, and the confidence head's
 * (0 where there is none). Only the total has a gradient. Tensors made on the way are the caller's (tidy).
 */
export function batchLoss(
  model: ShallowDeepModel,
  batch: TokenBatch,
  options: BatchLossOptions,
): tf.Tensor1D {
  const { objective, numTokens } = options
  const { exits, distillation, labelSmoothing } = objective
  const states = decoderStates(model, batch, options.pass)
  const student = exits.findIndex(({ layer }) => layer === model.config.shallowLayers)
  const values = exitLoss(
    {
      exits: exits.map(({ layer }) => states.exit(layer)),
      head: states.head,
      labels: states.labels,
      isHeadFrozen: states.isHeadFrozen,
    },
    {
      weights: exits.map(({ weight }) => weight),
      ...(distillation.kind === 'logits' && { distillation: { ...distillation, student } }),
      labelSmoothing,
      numTokens,
    },
  )
  const part = (i: number) => tf.slice(values, i, 1)
  const totals: tf.Tensor1D[] = [part(0)]
  let distilled = part(1)
  if (distillation.kind !== 'none' && distillation.kind !== 'logits') {
    distilled = tf.reshape(distillStates(model, states, { ...options, pairing: distillation.kind }), [1])
    totals.push(tf.mul(distilled, distillation.weight))
  }
  let confidence = tf.zeros([1]) as tf.Tensor1D
  const confidenceHead = confidenceHeadOf(model.variables)
  if (confidenceHead) {
    const inputs = agreementInputs(model, states)
    confidence = tf.reshape(confidenceLoss(inputs, confidenceHead, numTokens), [1])
    totals.push(confidence)
  }
  const total = totals.length === 1 ? totals[0] : tf.addN(totals)
  return tf.concat([total, part(2 + student), part(1 + exits.length), distilled, confidence])
}

/** What both exits say, without the heads' dropout. */
export function agreementInputs(
  { config: { shallowLayers, decoderLayers } }: ShallowDeepModel,
  { normed, head, labels }: DecoderStates,
): AgreementInputs {
  return { shallow: normed(shallowLayers), deep: normed(decoderLayers), head, labels }
}

function distillStates(
  { config: { shallowLayers, decoderLayers } }: ShallowDeepModel,
  { normed, labels }: DecoderStates,
  options: Pick<BatchLossOptions, 'numTokens' | 'distillationMap'> & { readonly pairing: StatePairing },
): tf.Scalar {
  const { pairing, distillationMap } = options
  const pairs = fixedPairs(pairing === 'last' ? 'last' : 'uniform', shallowLayers, decoderLayers)
  const students = new Map(
    pairs.map(({ student }) => {
      const state = normed(student)
      return [student, distillationMap ? product(state, distillationMap) : state]
    }),
  )
  const teachers = new Map(pairs.map(({ teacher }) => [teacher, normed(teacher)]))
  return stateDistillation({ students, teachers, labels }, options)
}
