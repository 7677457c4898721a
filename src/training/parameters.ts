// Which parameters a training changes: weights of the model, and those that exist only while it is trained.
import * as tf from '@tensorflow/tfjs'
import { partOf, trainedParts, weightSpecs, type ModelConfig, type TrainingConfig } from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import type { HostWeight, HostWeights, ShallowDeepModel } from '../model/index.js'

/** The parameters of a training. */
export interface TrainedParameters {
  /** Those that change, by name. */
  readonly trained: ReadonlyMap<string, tf.Variable>
  /** What student states go through before they are compared with deep ones, [D, D]; at first the identity. */
  readonly distillationMap?: tf.Variable<tf.Rank.R2>
  /** Copies what is no weight of the plain model to the host, by name, for resuming: factors and map. */
  readExtras(): Promise<Map<string, HostWeight>>
  /** Restores what readExtras gave. Throws `training.wrong-state` where one is missing or has another shape. */
  restoreExtras(saved: HostWeights): void
  /** Frees what exists only for the training. */
  dispose(): void
}

const DISTILLATION_MAP = 'distillation.map'

/**
 * The names of the weights in the parts that a configuration trains; with low-rank updates, the parts' matrices are theirs.
 * Throws `training.nothing-to-train`.
 */
export function weightsToTrain(
  model: ModelConfig,
  options: Pick<TrainingConfig, 'train' | 'freeze'>,
): ReadonlySet<string> {
  const parts = trainedParts(options)
  const names = weightSpecs(model).filter(({ name }) => parts.has(partOf(name, model)))
  if (names.length === 0) throw nothingToTrain(parts)
  return new Set(names.map(({ name }) => name))
}

/**
 * The variables of a model that a configuration trains, by name: weights of the parts that it names or, where the model has
 * low-rank updates, those and the confidence head. Throws `training.nothing-to-train`.
 */
export function trainedVariables(
  { config, variables, factors }: ShallowDeepModel,
  options: Pick<TrainingConfig, 'train' | 'freeze'>,
): ReadonlyMap<string, tf.Variable> {
  const names = weightsToTrain(config, options)
  const isTrained = (name: string) =>
    names.has(name) && (factors.size === 0 || partOf(name, config) === 'confidence-head')
  return new Map([...[...variables].filter(([name]) => isTrained(name)), ...factors])
}

/**
 * The parameters of a training of `model`: {@link trainedVariables} and what the training adds. What is not trained is
 * marked so in the model. The caller disposes them; the model stays its owner's. Throws `training.nothing-to-train`.
 */
export function openParameters(
  model: ShallowDeepModel,
  config: Pick<TrainingConfig, 'distillationMap' | 'train' | 'freeze'>,
): TrainedParameters {
  const trained = trainedVariables(model, config)
  for (const [name, variable] of model.variables) variable.trainable = trained.has(name)
  const maps = new Map<string, tf.Variable>()
  if (config.distillationMap) {
    maps.set(
      DISTILLATION_MAP,
      tf.tidy(() => tf.variable(tf.eye(model.config.dModel))),
    )
  }
  const extras = new Map([...model.factors, ...maps])
  return {
    trained: new Map([...trained, ...maps]),
    distillationMap: maps.get(DISTILLATION_MAP) as tf.Variable<tf.Rank.R2> | undefined,
    async readExtras() {
      const copies = new Map<string, HostWeight>()
      for (const [name, variable] of extras) {
        copies.set(name, { shape: variable.shape, data: (await variable.data()) as Float32Array })
      }
      return copies
    },
    restoreExtras(saved) {
      for (const [name, variable] of extras) restore(name, variable, saved)
    },
    dispose: () => tf.dispose([...maps.values()]),
  }
}

/** Whether a training leaves the model as it is and trains its confidence head alone. */
export function trainsConfidenceOnly(config: Pick<TrainingConfig, 'train' | 'freeze'>): boolean {
  const parts = trainedParts(config)
  return parts.size === 1 && parts.has('confidence-head')
}

function nothingToTrain(parts: ReadonlySet<string>): ShallowDeepError {
  return new ShallowDeepError({
    code: 'training.nothing-to-train',
    message: `the model has no weights in what is to be trained: ${[...parts].join(', ')}`,
    hint: parts.has('confidence-head') ? 'add a confidence head with --confidence-head' : 'train other parts',
    details: { parts: [...parts] },
  })
}

function restore(name: string, variable: tf.Variable, saved: HostWeights): void {
  const value = saved.get(name)
  if (value?.shape.join() !== variable.shape.join()) {
    throw new ShallowDeepError({
      code: 'training.wrong-state',
      message: `${name}: expected shape [${variable.shape}], got ${value ? `[${value.shape}]` : 'none'}`,
      hint: 'resume with the settings that the run began with',
      details: { name },
    })
  }
  tf.tidy(() => variable.assign(tf.tensor(value.data, variable.shape)))
}
