// AdamW (Loshchilov and Hutter 2019) and Adafactor (Shazeer and Stern 2018) over stacked parameter groups. Adafactor
// follows transformers' Adafactor with scale_parameter=True, relative_step=False: T5's N(0,1) embeddings do not train
// well from scratch without updates scaled by each parameter's size.
import * as tf from '@tensorflow/tfjs'
import { ShallowDeepError } from '../errors.js'
import type { HostWeight, HostWeights } from '../model/index.js'
import type { ParameterGroup } from './parameterGroups.js'

export interface OptimiserStep {
  /** Learning rate of this step; relative to each parameter's root mean square for Adafactor. */
  readonly learningRate: number
  /** Number of this step, from 1. */
  readonly step: number
}

/** Updates parameters from gradients and holds its running moments, which are saved with a checkpoint. */
export interface Optimiser {
  /** Updates all parameters. `gradients`: stacked as [G, ...shape] in the order of the groups. */
  update(gradients: readonly tf.Tensor[], step: OptimiserStep): void
  /** The moments by name. */
  readState(): Promise<Map<string, HostWeight>>
  /** Restores what readState gave. Throws `training.wrong-state` where a moment is missing or has another shape. */
  restoreState(state: HostWeights): void
  dispose(): void
}

export type OptimiserName = 'adafactor' | 'adamw'

export interface OptimiserOptions {
  readonly name: OptimiserName
  /**
   * Decoupled weight decay, times the learning rate (for Adafactor the scaled one, as in transformers). Neutral: 0.
   * Norms (vectors) are never decayed.
   */
  readonly weightDecay: number
}

export function createOptimiser(groups: readonly ParameterGroup[], options: OptimiserOptions): Optimiser {
  return options.name === 'adamw' ? new AdamW(groups, options) : new Adafactor(groups, options)
}

/** Running moments of all groups, kept between steps. */
class Moments {
  private readonly tensors = new Map<string, tf.Tensor>()

  define(key: string, shape: number[]): void {
    this.tensors.set(key, tf.keep(tf.zeros(shape)))
  }

  get(key: string): tf.Tensor {
    return this.tensors.get(key)!
  }

  set(key: string, value: tf.Tensor): void {
    this.tensors.get(key)?.dispose()
    this.tensors.set(key, tf.keep(value))
  }

  async read(): Promise<Map<string, HostWeight>> {
    const state = new Map<string, HostWeight>()
    for (const [key, tensor] of this.tensors) {
      state.set(key, { shape: tensor.shape, data: (await tensor.data()) as Float32Array })
    }
    return state
  }

  restore(state: HostWeights): void {
    for (const [key, tensor] of this.tensors) {
      const saved = state.get(key)
      if (saved?.shape.join() !== tensor.shape.join()) {
        throw new ShallowDeepError({
          code: 'training.wrong-state',
          message: `optimiser state ${key}: expected shape [${tensor.shape}], got ${saved ? `[${saved.shape}]` : 'none'}`,
          hint: 'resume with the optimiser and the model shape that the run began with',
          details: { key },
        })
      }
      this.set(key, tf.tensor(saved.data, tensor.shape))
    }
  }

  dispose(): void {
    for (const tensor of this.tensors.values()) tensor.dispose()
  }
}

/**
 * Root mean square of each of G stacked parameters, [G, 1, ...]. Axis by axis: wasm adds up one by one in float32, and
 * over all of a large embedding at once loses percents.
 */
function rootMeanSquare(stacked: tf.Tensor): tf.Tensor {
  let mean: tf.Tensor = tf.square(stacked)
  for (let axis = stacked.rank - 1; axis > 0; axis--) mean = tf.mean(mean, axis, true)
  return tf.sqrt(mean)
}

/** What both optimisers have: groups, options, and moments that are saved with a checkpoint. */
abstract class MomentOptimiser implements Optimiser {
  protected readonly moments = new Moments()

  protected constructor(
    protected readonly groups: readonly ParameterGroup[],
    protected readonly options: OptimiserOptions,
  ) {}

  abstract update(gradients: readonly tf.Tensor[], step: OptimiserStep): void

  readState(): Promise<Map<string, HostWeight>> {
    return this.moments.read()
  }

  restoreState(state: HostWeights): void {
    this.moments.restore(state)
  }

  dispose(): void {
    this.moments.dispose()
  }
}

class Adafactor extends MomentOptimiser {
  constructor(groups: readonly ParameterGroup[], options: OptimiserOptions) {
    super(groups, options)
    for (const { key, shape, names } of groups) {
      if (shape.length === 2) {
        this.moments.define(`row ${key}`, [names.length, shape[0], 1])
        this.moments.define(`column ${key}`, [names.length, 1, shape[1]])
      } else {
        this.moments.define(`square ${key}`, [names.length, ...shape])
      }
    }
  }

  update(gradients: readonly tf.Tensor[], { learningRate, step }: OptimiserStep): void {
    const decay = 1 - step ** -0.8
    this.groups.forEach((group, i) => {
      tf.tidy(() => {
        const values = group.stackValues()
        const direction = this.direction(group, gradients[i], decay)
        const clipped = tf.div(direction, tf.maximum(rootMeanSquare(direction), 1))
        const scale = tf.mul(tf.maximum(rootMeanSquare(values), 1e-3), learningRate)
        const { weightDecay } = this.options
        const decays = weightDecay > 0 && group.shape.length > 1
        // Decay goes by the scaled rate, as the update does.
        const change = decays ? tf.add(clipped, tf.mul(values, weightDecay)) : clipped
        group.assign(tf.sub(values, tf.mul(change, scale)))
      })
    })
  }

  /** Gradient over the root of its second moment, kept as row and column means for matrices. */
  private direction(group: ParameterGroup, gradient: tf.Tensor, decay: number): tf.Tensor {
    const { key, shape } = group
    const squared = tf.add(tf.square(gradient), 1e-30)
    const moved = (name: string, value: tf.Tensor) => {
      const next = tf.add(tf.mul(this.moments.get(name), decay), tf.mul(value, 1 - decay))
      this.moments.set(name, next)
      return next
    }
    if (shape.length !== 2) return tf.mul(gradient, tf.rsqrt(moved(`square ${key}`, squared)))
    const row = moved(`row ${key}`, tf.mean(squared, 2, true))
    const column = moved(`column ${key}`, tf.mean(squared, 1, true))
    const rowFactor = tf.rsqrt(tf.div(row, tf.mean(row, 1, true)))
    return tf.mul(tf.mul(gradient, rowFactor), tf.rsqrt(column))
  }
}

const ADAM_BETAS = [0.9, 0.999] as const
const ADAM_EPSILON = 1e-8

class AdamW extends MomentOptimiser {
  constructor(groups: readonly ParameterGroup[], options: OptimiserOptions) {
    super(groups, options)
    for (const { key, shape, names } of groups) {
      this.moments.define(`first ${key}`, [names.length, ...shape])
      this.moments.define(`second ${key}`, [names.length, ...shape])
    }
  }

  update(gradients: readonly tf.Tensor[], { learningRate, step }: OptimiserStep): void {
    const [beta1, beta2] = ADAM_BETAS
    const stepSize = (learningRate * Math.sqrt(1 - beta2 ** step)) / (1 - beta1 ** step)
    const epsilon = ADAM_EPSILON * Math.sqrt(1 - beta2 ** step)
    this.groups.forEach((group, i) => {
      tf.tidy(() => {
        const moved = (name: string, value: tf.Tensor, beta: number) => {
          const key = `${name} ${group.key}`
          const next = tf.add(tf.mul(this.moments.get(key), beta), tf.mul(value, 1 - beta))
          this.moments.set(key, next)
          return next
        }
        const first = moved('first', gradients[i], beta1)
        const second = moved('second', tf.square(gradients[i]), beta2)
        const values = group.stackValues()
        const decay = group.shape.length > 1 ? 1 - learningRate * this.options.weightDecay : 1
        const change = tf.mul(tf.div(first, tf.add(tf.sqrt(second), epsilon)), stepSize)
        group.assign(tf.sub(tf.mul(values, decay), change))
      })
    })
  }
}
