// The training loop: batches in, events out. It owns the optimiser and the order of things; what is done at a checkpoint
// (files) and at a validation (decoding, metrics) is handed in. Everything random depends on (seed, step) alone, so that
// step, weights and moments are the whole state and a resumed run learns what an uninterrupted one does.
import * as tf from '@tensorflow/tfjs'
import type { TrainingConfig } from '../config/index.js'
import { makeBatches, numBatches, splitBatch, type EncodedExample, type TokenBatch } from '../data/index.js'
import { ShallowDeepError } from '../errors.js'
import type { HostWeights, ShallowDeepModel } from '../model/index.js'
import { DropoutMasks } from './dropout.js'
import { addGradients, batchGradients, clipGradients } from './gradients.js'
import { jointExits } from './exitWeights.js'
import { skippedLayers } from './layerDropout.js'
import { LOSS_PARTS, objectiveOf, type BatchLossOptions } from './objective.js'
import { createOptimiser, type Optimiser } from './optimiser.js'
import { groupParameters, type ParameterGroup } from './parameterGroups.js'
import { openParameters, trainsConfidenceOnly, type TrainedParameters } from './parameters.js'
import { learningRateAt } from './schedule.js'

/** What a validation of both exits found. */
export interface ExitQuality {
  readonly loss: number
  readonly perplexity: number
  /** Corpus BLEU of greedy decoding, 0..100; null where it was not measured. */
  readonly bleu: number | null
  /** The task's metrics of the same outputs, by name, the leading one first; only where they were measured. */
  readonly scores?: Readonly<Record<string, number>>
}

export interface ValidationResult {
  readonly shallow: ExitQuality
  readonly deep: ExitQuality
  readonly agreement: number
  /** Cross-entropy of the confidence head; only where the model has one. */
  readonly confidenceLoss?: number
}

/** The state that, with the weights, resumes a run. */
export interface TrainingProgress {
  /** Optimiser steps done. */
  readonly step: number
  readonly bestStep: number | null
  /** The best validation's loss: {@link validationLoss}. */
  readonly bestLoss: number | null
  readonly validation: ValidationResult | null
}

/** What is to be written at a checkpoint. */
export interface Snapshot {
  readonly progress: TrainingProgress
  readonly moments: HostWeights
  /** Trained parameters that are no weights of the model: {@link TrainedParameters.readExtras}. */
  readonly extras: HostWeights
  readonly isBest: boolean
}

export type TrainingEvent =
  | {
      readonly type: 'step'
      readonly step: number
      readonly totalSteps: number
      readonly epoch: number
      /** The weighted total and its parts, over this step's tokens. */
      readonly loss: number
      readonly shallowLoss: number
      readonly deepLoss: number
      readonly distillationLoss: number
      readonly confidenceLoss: number
      readonly gradientNorm: number
      readonly learningRate: number
      readonly numTokens: number
    }
  | {
      readonly type: 'validation'
      readonly step: number
      readonly result: ValidationResult
      readonly isBest: boolean
    }
  | { readonly type: 'saved'; readonly step: number; readonly isBest: boolean }
  | { readonly type: 'end'; readonly progress: TrainingProgress; readonly isInterrupted: boolean }

export interface TrainOptions {
  readonly model: ShallowDeepModel
  readonly examples: readonly EncodedExample[]
  readonly config: TrainingConfig
  /** Measures the model; left out, nothing is measured and the last checkpoint counts as the best. */
  readonly validate?: (model: ShallowDeepModel) => Promise<ValidationResult>
  /** Writes a checkpoint. */
  readonly save: (snapshot: Snapshot) => Promise<void>
  /** Goes on from here; the model already holds the weights of that step. */
  readonly resume?: Pick<Snapshot, 'progress' | 'moments' | 'extras'>
  /** When aborted, the step under way is finished and saved, and the loop ends with `isInterrupted`. */
  readonly signal?: AbortSignal
}

/** Keeps the masks of low-rank updates apart from the model's. */
const UPDATE_SEED = 0x75706474

/** Number of optimiser steps that a configuration makes over `numExamples`. */
export function countSteps(config: TrainingConfig, numExamples: number): number {
  return config.steps ?? Math.ceil(config.epochs * stepsPerEpoch(config, numExamples))
}

function stepsPerEpoch(config: TrainingConfig, numExamples: number): number {
  return Math.ceil(numBatches(numExamples, config.batchSize) / config.accumulationSteps)
}

/**
 * Trains the model in place. Throws `training.no-examples`, and `training.not-finite` when the loss or a gradient is not
 * a number: the weights of the step before are still in the model, and the last checkpoint stays.
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainingEvent> {
  const { model, examples, config, signal } = options
  if (examples.length === 0) throw noExamples()
  const parameters = openParameters(model, config)
  const groups = groupParameters(parameters.trained)
  const optimiser = createOptimiser(groups, { name: config.optimiser, weightDecay: config.weightDecay })
  // A confidence head that learns alone is to see the states that it will be asked about.
  const masks = new DropoutMasks(trainsConfidenceOnly(config) ? 0 : model.config.dropout, config.seed)
  const updateMasks = new DropoutMasks(config.loraDropout, config.seed ^ UPDATE_SEED)
  try {
    if (options.resume) {
      parameters.restoreExtras(options.resume.extras)
      optimiser.restoreState(options.resume.moments)
    }
    const perEpoch = stepsPerEpoch(config, examples.length)
    const totalSteps = countSteps(config, examples.length)
    const validateEvery = config.validateEvery || perEpoch
    const saveEvery = config.saveEvery || validateEvery
    let progress = options.resume?.progress ?? { step: 0, bestStep: null, bestLoss: null, validation: null }
    const stepper = { model, parameters, groups, optimiser, masks, updateMasks, config, totalSteps }

    while (progress.step < totalSteps && !signal?.aborted) {
      const epoch = Math.floor(progress.step / perEpoch)
      for (const batches of epochSteps(examples, { config, epoch, from: progress.step % perEpoch, model })) {
        // A backend that computes synchronously never gives the event loop a turn, and no signal could arrive.
        await tf.nextFrame()
        const step = progress.step + 1
        yield {
          ...(await trainStep(stepper, step, batches)),
          type: 'step',
          step,
          totalSteps,
          epoch: epoch + 1,
        }
        progress = { ...progress, step }
        const isDue = (interval: number) => step % interval === 0 || step === totalSteps
        let isBest = false
        if (isDue(validateEvery) && options.validate) {
          const result = await options.validate(model)
          const loss = validationLoss(result, model, config)
          isBest = loss < (progress.bestLoss ?? Infinity)
          progress = {
            ...progress,
            validation: result,
            ...(isBest ? { bestStep: step, bestLoss: loss } : {}),
          }
          yield { type: 'validation', step, result, isBest }
        }
        // A signal may also have come while validating, or come while saving.
        const isEnding = () => step === totalSteps || signal?.aborted === true
        if (isDue(saveEvery) || isBest || isEnding()) {
          if (!options.validate) progress = { ...progress, bestStep: step }
          isBest ||= !options.validate
          const [moments, extras] = [await optimiser.readState(), await parameters.readExtras()]
          await options.save({ progress, moments, extras, isBest })
          yield { type: 'saved', step, isBest }
        }
        if (isEnding()) break
      }
    }
    yield { type: 'end', progress, isInterrupted: progress.step < totalSteps }
  } finally {
    masks.dispose()
    updateMasks.dispose()
    optimiser.dispose()
    parameters.dispose()
  }
}

/**
 * The number that "best" is about: both exits' validation cross-entropies, weighted by layer index; of a confidence head
 * that is trained alone, its own.
 */
function validationLoss(result: ValidationResult, model: ShallowDeepModel, config: TrainingConfig): number {
  if (trainsConfidenceOnly(config)) return result.confidenceLoss ?? Infinity
  const [shallow, deep] = jointExits('layer-index', model.config)
  return shallow.weight * result.shallow.loss + deep.weight * result.deep.loss
}

/** The batches of each step of an epoch, from step `from` of it on. */
function* epochSteps(
  examples: readonly EncodedExample[],
  options: {
    readonly config: TrainingConfig
    readonly epoch: number
    readonly from: number
    readonly model: ShallowDeepModel
  },
): Generator<TokenBatch[]> {
  const { config, epoch, from, model } = options
  const batches = makeBatches(examples, {
    batchSize: config.batchSize,
    seed: config.seed,
    epoch,
    padId: model.config.padId,
    decoderStartId: model.config.decoderStartId,
    firstBatch: from * config.accumulationSteps,
  })
  let collected: TokenBatch[] = []
  for (const batch of batches) {
    collected.push(batch)
    if (collected.length < config.accumulationSteps) continue
    yield collected
    collected = []
  }
  if (collected.length > 0) yield collected
}

interface Stepper {
  readonly model: ShallowDeepModel
  readonly parameters: TrainedParameters
  readonly groups: readonly ParameterGroup[]
  readonly optimiser: Optimiser
  readonly masks: DropoutMasks
  readonly updateMasks: DropoutMasks
  readonly config: TrainingConfig
  readonly totalSteps: number
}

/** One optimiser step over the gradients of its batches. */
async function trainStep(stepper: Stepper, step: number, batches: readonly TokenBatch[]) {
  const { optimiser, config, totalSteps } = stepper
  const numTokens = batches.reduce((sum, batch) => sum + batch.numTokens, 0)
  const { gradients, parts } = await accumulateGradients(stepper, batches, {
    ...lossOptions(stepper, step),
    numTokens,
  })
  const clipped = clipGradients(gradients, config.maxGradientNorm)
  const [gradientNorm] = await clipped.norm.data()
  const learningRate = learningRateAt(step, totalSteps, config)
  const isFinite = Number.isFinite(parts[0]) && Number.isFinite(gradientNorm)
  if (isFinite) optimiser.update(clipped.gradients, { learningRate, step })
  tf.dispose([clipped.gradients, clipped.norm])
  if (!isFinite) throw notFinite(step, parts[0], gradientNorm)
  const [loss, shallowLoss, deepLoss, distillationLoss, confidenceLoss] = parts
  const losses = { loss, shallowLoss, deepLoss, distillationLoss, confidenceLoss }
  return { ...losses, gradientNorm, learningRate, numTokens }
}

/** How every part of a step's batch is run and what is minimised. */
function lossOptions(stepper: Stepper, step: number): Omit<BatchLossOptions, 'numTokens'> {
  const { model, parameters, masks, updateMasks, config } = stepper
  const { decoderLayers } = model.config
  masks.beginStep(step - 1)
  updateMasks.beginStep(step - 1)
  return {
    objective: objectiveOf(config, model.config),
    pass: {
      dropout: masks.apply,
      updateDropout: updateMasks.apply,
      skippedLayers: skippedLayers(config, { decoderLayers, seed: config.seed, step: step - 1 }),
    },
    distillationMap: parameters.distillationMap,
  }
}

/** Summed gradients and parts of the loss; the caller disposes the gradients. */
async function accumulateGradients(
  { model, groups, config }: Stepper,
  batches: readonly TokenBatch[],
  options: BatchLossOptions,
) {
  let gradients: tf.Tensor[] = []
  const parts = LOSS_PARTS.map(() => 0)
  try {
    for (const batch of batches.flatMap((whole) => splitBatch(whole, config.maxPassTokens))) {
      const found = batchGradients(model, batch, { ...options, groups })
      gradients = gradients.length > 0 ? addGradients(gradients, found.gradients) : found.gradients
      for (const [i, value] of (await found.loss.data()).entries()) parts[i] += value
      found.loss.dispose()
    }
    return { gradients, parts }
  } catch (error) {
    tf.dispose(gradients)
    throw error
  }
}

function noExamples(): ShallowDeepError {
  return new ShallowDeepError({
    code: 'training.no-examples',
    message: 'expected at least one example to train on, got none',
    hint: 'has every row been left out?',
  })
}

function notFinite(step: number, loss: number, gradientNorm: number): ShallowDeepError {
  return new ShallowDeepError({
    code: 'training.not-finite',
    message: `step ${step}: the loss is ${loss} and the gradient norm ${gradientNorm}; training has diverged`,
    hint: 'go on from the last checkpoint with a lower learning rate or a longer warm-up',
    details: { step, loss, gradientNorm },
    kind: 'failure',
  })
}
