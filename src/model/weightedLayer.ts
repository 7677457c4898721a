// What the tf.layers wrappers have in common: variables by our names, dropout as the pass has it, and low-rank updates
// (LoRA) beside matrices that stay as they are.
import * as tf from '@tensorflow/tfjs'
import type { Dropout, Linear } from './functions.js'
import { product } from './product.js'

/** What a training pass hands to every layer; an evaluating one has none of it. */
export interface TrainingPass {
  /** In place of tf.dropout at the layer's own rate. */
  readonly dropout?: Dropout
  /** Decoder layers, from 1, that are left out: their input is their output. */
  readonly skippedLayers?: ReadonlySet<number>
  /** Applied to what low-rank updates read, a mask of its own for each. Neutral: undefined, nothing. */
  readonly updateDropout?: Dropout
}

/** A low-rank update of a matrix: scale * A B. */
export interface LowRankUpdate {
  readonly a: tf.Variable<tf.Rank.R2> // [in, r]
  readonly b: tf.Variable<tf.Rank.R2> // [r, out]
  readonly scale: number
}

/** What `apply` hands through to every layer. */
export type CallOptions = { training?: boolean } & TrainingPass & Record<string, unknown>
/** What a layer is made from, as it is saved with the model. */
export type LayerConfig = Record<string, tf.serialization.ConfigDictValue> & { name?: string }

/** A layer with weights that are known by our names (config/weightNames.ts), given as a suffix of the layer's name. */
export abstract class WeightedLayer extends tf.layers.Layer {
  protected readonly variables = new Map<string, { read(): tf.Tensor }>()
  private readonly lowRankUpdates = new Map<string, LowRankUpdate>()

  protected constructor(protected readonly config: LayerConfig) {
    super(config)
  }

  /** Creates the weight `name`; the real values are set once the model stands. */
  protected add(name: string, shape: number[]): void {
    this.variables.set(name, this.addWeight(name, shape, 'float32', tf.initializers.zeros(), undefined, true))
  }

  /** The weights in the order of their creation, by their names within this layer. */
  get weightNames(): string[] {
    return [...this.variables.keys()]
  }

  /** The variable behind one of {@link weightNames}. */
  variable(name: string): tf.Variable {
    return this.variables.get(name)!.read() as tf.Variable
  }

  /** Adds a low-rank update to a matrix of this layer, which is not to be trained then. */
  addUpdate(name: string, update: LowRankUpdate): void {
    this.lowRankUpdates.set(name, update)
  }

  /** Matrices with equal inputs side by side, as one; frozen where none of them is trained. */
  protected linear(options: CallOptions, ...names: string[]): Linear {
    const matrices = names.map((name) => this.weight<tf.Tensor2D>(name))
    const matrix = matrices.length === 1 ? matrices[0] : tf.concat(matrices, 1)
    if (names.some((name) => this.variable(name).trainable)) return matrix
    if (!names.some((name) => this.lowRankUpdates.has(name))) return { frozen: matrix }
    const dropout = options.training ? options.updateDropout : undefined
    const updateOf = (x: tf.Tensor2D, i: number): tf.Tensor2D => {
      const own = this.lowRankUpdates.get(names[i])
      if (!own) return tf.zeros([x.shape[0], matrices[i].shape[1]])
      const narrow = product<tf.Tensor2D>(dropout?.(x) ?? x, own.a) // [N, r]
      return product(tf.mul(narrow, own.scale), own.b)
    }
    const update = (x: tf.Tensor2D) => {
      const parts = names.map((_, i) => updateOf(x, i))
      return parts.length === 1 ? parts[0] : tf.concat2d(parts, 1)
    }
    return { frozen: matrix, update }
  }

  protected weight<T extends tf.Tensor>(name: string): T {
    return this.variables.get(name)!.read() as T
  }

  protected number(key: string): number {
    return this.config[key] as number
  }

  protected dropout(options: CallOptions): Dropout | undefined {
    if (!options.training) return undefined
    const rate = this.number('dropout')
    return options.dropout ?? ((x) => tf.dropout(x, rate) as typeof x)
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), ...this.config }
  }
}
