// Which parameters a training changes: weights of the model, and those that exist only while it is trained.
import * as tf from '@tensorflow/tfjs'
import type { TrainingConfig } from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import type { HostWeight, HostWeights, ShallowDeepModel } from '../model/index.js'

/** The parameters of a training. */
export interface TrainedParameters {
  /** Those that change, by name. */
  readonly trained: ReadonlyMap<string, tf.Variable>
  /** What student states go through before they are compared with deep ones, [D, D]; at first the identity. */
  readonly distillationMap?: tf.Variable<tf.Rank.R2>
  /** Copies what is no weight of the model to the host, by name, for resuming. */
  readExtras(): Promise<Map<string, HostWeight>>
  /** Restores what readExtras gave. Throws `training.wrong-state` where one is missing or has another shape. */
  restoreExtras(saved: HostWeights): void
  /** Frees what is no weight of the model. */
  dispose(): void
}

const DISTILLATION_MAP = 'distillation.map'

/** The parameters of a training of `model`. The caller disposes them; the model stays its owner's. */
export function openParameters(
  model: ShallowDeepModel,
  { distillationMap }: Pick<TrainingConfig, 'distillationMap'>,
): TrainedParameters {
  const extras = new Map<string, tf.Variable>()
  if (distillationMap) {
    extras.set(
      DISTILLATION_MAP,
      tf.tidy(() => tf.variable(tf.eye(model.config.dModel))),
    )
  }
  return {
    trained: new Map([...model.variables, ...extras]),
    distillationMap: extras.get(DISTILLATION_MAP) as tf.Variable<tf.Rank.R2> | undefined,
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
    dispose: () => tf.dispose([...extras.values()]),
  }
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
