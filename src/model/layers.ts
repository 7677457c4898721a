// The tf.layers wrappers around functions.ts: they own the variables, so that the model is an ordinary tf.LayersModel
// (summary, predict, save, load). No arithmetic of its own. Layers keep the batch axis, [B, T, D]; the functions don't.
import * as tf from '@tensorflow/tfjs'
import type { BucketOptions } from '../config/index.js'
import {
  crossKeyValue,
  decoderLayer,
  encoderLayer,
  type CrossAttentionWeights,
  type FeedForwardWeights,
  type LayerShape,
  type SelfAttentionWeights,
} from './functions.js'
import { embed, matMulTransposed, product, rmsNorm, isRecording } from './product.js'
import { paddingBias, relativeBias } from './relativeBias.js'
import { WeightedLayer, type CallOptions, type LayerConfig } from './weightedLayer.js'

type Inputs = tf.Tensor | tf.Tensor[]

const list = (inputs: Inputs): tf.Tensor[] => (Array.isArray(inputs) ? inputs : [inputs])
const flatten = (x: tf.Tensor): tf.Tensor2D => tf.reshape(x, [-1, x.shape[x.rank - 1]!])
const restore = (x: tf.Tensor2D, like: tf.Tensor): tf.Tensor3D =>
  tf.reshape(x, [like.shape[0], like.shape[1]!, x.shape[1]])

/**
 * The embedding table [V, D]: int32 tokens [B, T] -> vectors [B, T, D]; and, as the tied output head, states
 * [B, T, D] -> logits [B, T, V].
 */
export class TokenEmbedding extends WeightedLayer {
  static className = 'ShallowDeepTokenEmbedding'

  constructor(config: LayerConfig) {
    super(config)
  }

  override build(): void {
    this.add('weight', [this.number('vocabSize'), this.number('dModel')])
    this.built = true
  }

  override computeOutputShape(shape: tf.Shape): tf.Shape {
    return [shape[0], shape[1], shape.length === 2 ? this.number('dModel') : this.number('vocabSize')]
  }

  override call(inputs: Inputs, options: CallOptions): tf.Tensor {
    return tf.tidy(() => {
      const [x] = list(inputs)
      const table = this.weight<tf.Tensor2D>('weight')
      if (x.rank === 2) {
        const vectors = embed(table, tf.reshape(tf.cast(x, 'int32'), [-1]) as tf.Tensor1D)
        const kept = this.dropout(options)?.(vectors) ?? vectors
        return tf.reshape(kept, [x.shape[0], x.shape[1]!, table.shape[1]])
      }
      const states = tf.mul(flatten(x), this.number('logitScale')) as tf.Tensor2D
      const logits = isRecording()
        ? product(states, tf.transpose(table) as tf.Tensor2D)
        : matMulTransposed(states, table, false, true)
      return restore(logits, x)
    })
  }
}

/** The untied output head [D, V]: states [B, T, D] -> logits [B, T, V]. */
export class OutputHead extends WeightedLayer {
  static className = 'ShallowDeepOutputHead'

  constructor(config: LayerConfig) {
    super(config)
  }

  override build(): void {
    this.add('weight', [this.number('dModel'), this.number('vocabSize')])
    this.built = true
  }

  override computeOutputShape(shape: tf.Shape): tf.Shape {
    return [shape[0], shape[1], this.number('vocabSize')]
  }

  override call(inputs: Inputs): tf.Tensor {
    return tf.tidy(() => {
      const [x] = list(inputs)
      const states = tf.mul(flatten(x), this.number('logitScale')) as tf.Tensor2D
      return restore(product(states, this.weight<tf.Tensor2D>('weight')), x)
    })
  }
}

/** Relative position bias of a stack: tokens [B, T] -> [B or 1, H, T, T], with the padding (encoder) or causal mask. */
export class StackBias extends WeightedLayer {
  static className = 'ShallowDeepStackBias'

  constructor(config: LayerConfig) {
    super(config)
  }

  override build(): void {
    this.add('weight', [this.number('numBuckets'), this.number('numHeads')])
    this.built = true
  }

  override computeOutputShape(shape: tf.Shape): tf.Shape {
    return [shape[0], this.number('numHeads'), shape[1], shape[1]]
  }

  override call(inputs: Inputs): tf.Tensor {
    return tf.tidy(() => {
      const [tokens] = list(inputs) as tf.Tensor2D[]
      const causal = this.config.causal as boolean
      const buckets: BucketOptions = {
        numBuckets: this.number('numBuckets'),
        maxDistance: this.number('maxDistance'),
        bidirectional: !causal,
      }
      const length = tokens.shape[1]
      const span = { queryStart: 0, queryLength: length, memoryLength: length }
      const bias = relativeBias(this.weight<tf.Tensor2D>('weight'), span, { ...buckets, causal })
      return causal ? bias : tf.add(bias, paddingBias(tokens, this.number('padId')))
    })
  }
}

/** Padding mask of the source for cross-attention: tokens [B, M] -> [B, 1, 1, M]. */
export class PaddingBias extends WeightedLayer {
  static className = 'ShallowDeepPaddingBias'

  constructor(config: LayerConfig) {
    super(config)
  }

  override computeOutputShape(shape: tf.Shape): tf.Shape {
    return [shape[0], 1, 1, shape[1]]
  }

  override call(inputs: Inputs): tf.Tensor {
    return paddingBias(list(inputs)[0] as tf.Tensor2D, this.number('padId'))
  }
}

/** The final norm of a stack [B, T, D] -> [B, T, D], with T5's dropout after it while training. */
export class FinalNorm extends WeightedLayer {
  static className = 'ShallowDeepFinalNorm'

  constructor(config: LayerConfig) {
    super(config)
  }

  override build(): void {
    this.add('weight', [this.number('dModel')])
    this.built = true
  }

  override computeOutputShape(shape: tf.Shape): tf.Shape {
    return shape
  }

  override call(inputs: Inputs, options: CallOptions): tf.Tensor {
    return tf.tidy(() => {
      const [x] = list(inputs)
      const normed = rmsNorm(flatten(x), this.weight<tf.Tensor1D>('weight'), this.number('epsilon'))
      return restore(this.dropout(options)?.(normed) ?? normed, x)
    })
  }
}

/** What the encoder's and the decoder's layers have in common. */
abstract class Block extends WeightedLayer {
  protected get layerShape(): LayerShape {
    return {
      numHeads: this.number('numHeads'),
      gated: this.config.gated as boolean,
      epsilon: this.number('epsilon'),
    }
  }

  protected addAttention(prefix: string): void {
    const [width, inner] = [this.number('dModel'), this.number('numHeads') * this.number('dKv')]
    this.add(`${prefix}.norm`, [width])
    for (const part of ['query', 'key', 'value']) this.add(`${prefix}.${part}`, [width, inner])
    this.add(`${prefix}.output`, [inner, width])
  }

  protected addFeedForward(): void {
    const [width, inner] = [this.number('dModel'), this.number('dFf')]
    this.add('feedForward.norm', [width])
    if (this.config.gated) this.add('feedForward.gate', [width, inner])
    this.add('feedForward.input', [width, inner])
    this.add('feedForward.output', [inner, width])
  }

  protected selfAttention(prefix: string, options: CallOptions): SelfAttentionWeights {
    return {
      norm: this.weight(`${prefix}.norm`),
      queryKeyValue: this.linear(options, `${prefix}.query`, `${prefix}.key`, `${prefix}.value`),
      output: this.linear(options, `${prefix}.output`),
    }
  }

  protected feedForward(options: CallOptions): FeedForwardWeights {
    const inputs = this.config.gated ? ['feedForward.gate', 'feedForward.input'] : ['feedForward.input']
    return {
      norm: this.weight('feedForward.norm'),
      input: this.linear(options, ...inputs),
      output: this.linear(options, 'feedForward.output'),
    }
  }

  override computeOutputShape(shapes: tf.Shape | tf.Shape[]): tf.Shape {
    return (shapes as tf.Shape[])[0]
  }
}

/** One encoder layer: [hidden [B, M, D], bias [B, H, M, M]] -> [B, M, D]. */
export class EncoderBlock extends Block {
  static className = 'ShallowDeepEncoderBlock'

  constructor(config: LayerConfig) {
    super(config)
  }

  override build(): void {
    this.addAttention('attention')
    this.addFeedForward()
    this.built = true
  }

  override call(inputs: Inputs, options: CallOptions): tf.Tensor {
    return tf.tidy(() => {
      const [hidden, bias] = list(inputs)
      const weights = {
        attention: this.selfAttention('attention', options),
        feedForward: this.feedForward(options),
      }
      const context = { ...this.layerShape, batch: hidden.shape[0], dropout: this.dropout(options) }
      return restore(
        encoderLayer(flatten(hidden), weights, { ...context, bias: bias as tf.Tensor4D }),
        hidden,
      )
    })
  }
}

/**
 * One decoder layer: [hidden [B, T, D], self bias [1, H, T, T], encoder states [B, M, D], padding bias [B, 1, 1, M]]
 * -> [B, T, D].
 */
export class DecoderBlock extends Block {
  static className = 'ShallowDeepDecoderBlock'

  constructor(config: LayerConfig) {
    super(config)
  }

  override build(): void {
    this.addAttention('selfAttention')
    this.addAttention('crossAttention')
    this.addFeedForward()
    this.built = true
  }

  private crossAttention(options: CallOptions): CrossAttentionWeights {
    return {
      norm: this.weight('crossAttention.norm'),
      query: this.linear(options, 'crossAttention.query'),
      output: this.linear(options, 'crossAttention.output'),
    }
  }

  override call(inputs: Inputs, options: CallOptions): tf.Tensor {
    const isSkipped = options.training && options.skippedLayers?.has(this.number('position'))
    if (isSkipped) return tf.clone(list(inputs)[0])
    return tf.tidy(() => {
      const [hidden, selfBias, states, memoryBias] = list(inputs)
      const [batch, { numHeads }] = [hidden.shape[0], this.layerShape]
      const keyValue = this.linear(options, 'crossAttention.key', 'crossAttention.value')
      const weights = {
        selfAttention: this.selfAttention('selfAttention', options),
        crossAttention: this.crossAttention(options),
        feedForward: this.feedForward(options),
      }
      const output = decoderLayer(flatten(hidden), weights, {
        ...this.layerShape,
        dropout: this.dropout(options),
        groups: [
          {
            batch,
            numPositions: hidden.shape[1]!,
            selfBias: selfBias as tf.Tensor4D,
            memory: crossKeyValue(flatten(states), keyValue, { batch, numHeads }),
            memoryBias: memoryBias as tf.Tensor4D,
          },
        ],
      })
      return restore(output.hidden, hidden)
    })
  }
}

let registered = false

/** Makes the layers known to tf.serialization, so that `tf.loadLayersModel` can rebuild a saved model. Idempotent. */
export function registerLayers(): void {
  if (registered) return
  registered = true
  for (const layer of [
    TokenEmbedding,
    OutputHead,
    StackBias,
    PaddingBias,
    FinalNorm,
    EncoderBlock,
    DecoderBlock,
  ]) {
    tf.serialization.registerClass(
      layer as unknown as tf.serialization.SerializableConstructor<tf.layers.Layer>,
    )
  }
}
