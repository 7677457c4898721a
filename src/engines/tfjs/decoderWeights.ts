// A model's weights as the incremental decoder takes them: uploaded once, matrices that read the same input side by side,
// and nothing left to transpose or scale while decoding.
import * as tf from '@tensorflow/tfjs'
import type { ModelConfig } from '../../config/index.js'
import { joinColumns } from '../../config/index.js'
import type {
  ConfidenceHeadWeights,
  DecoderLayerWeights,
  EncoderLayerWeights,
  HeadWeights,
  HostWeights,
  SelfAttentionWeights,
} from '../../model/index.js'
import { checkWeights } from '../checks.js'

/** A decoder layer, and what makes the keys and values that its cross-attention reads. */
export interface CachedLayerWeights extends DecoderLayerWeights {
  readonly keyValue: tf.Tensor2D // [D, 2*H*K]
}

/** All weights of a model on the current backend. */
export interface EngineWeights {
  readonly embedding: tf.Tensor2D // [V, D]
  readonly encoder: {
    readonly relativeBias: tf.Tensor2D // [buckets, H]
    readonly layers: readonly EncoderLayerWeights[]
    readonly finalNorm: tf.Tensor1D // [D]
  }
  readonly decoder: {
    readonly relativeBias: tf.Tensor2D // [buckets, H]
    readonly layers: readonly CachedLayerWeights[]
  }
  /** Any exit's; the scale of the logits is in `head`. */
  readonly exit: HeadWeights
  /** Undefined in a model without one. */
  readonly confidenceHead: ConfidenceHeadWeights | undefined
  dispose(): void
}

/**
 * Uploads weights to the current backend; the host's copies are not needed any more. The caller disposes them.
 * Throws `engine.missing-weight` and `engine.wrong-shape`, naming the first weight at fault.
 */
export function uploadWeights(config: ModelConfig, weights: HostWeights): EngineWeights {
  checkWeights(config, weights)
  const uploaded: tf.Tensor[] = []
  const upload = <T extends tf.Tensor>(data: Float32Array, shape: number[]): T => {
    const tensor = tf.keep(tf.tensor(data, shape, 'float32')) as T
    uploaded.push(tensor)
    return tensor
  }
  const plain = <T extends tf.Tensor>(name: string): T => {
    const { data, shape } = weights.get(name)!
    return upload<T>(data, [...shape])
  }
  const joined = (...names: string[]): tf.Tensor2D => {
    const { data, shape } = joinColumns(names.map((name) => weights.get(name)!))
    return upload(data, [...shape])
  }
  const selfAttention = (prefix: string): SelfAttentionWeights => ({
    norm: plain(`${prefix}.norm`),
    queryKeyValue: joined(`${prefix}.query`, `${prefix}.key`, `${prefix}.value`),
    output: plain(`${prefix}.output`),
  })
  const feedForward = (prefix: string) => ({
    norm: plain<tf.Tensor1D>(`${prefix}.norm`),
    input:
      config.feedForward === 'gated-gelu'
        ? joined(`${prefix}.gate`, `${prefix}.input`)
        : plain<tf.Tensor2D>(`${prefix}.input`),
    output: plain<tf.Tensor2D>(`${prefix}.output`),
  })
  const encoderLayer = (_: unknown, i: number): EncoderLayerWeights => ({
    attention: selfAttention(`encoder.${i}.attention`),
    feedForward: feedForward(`encoder.${i}.feedForward`),
  })
  const decoderLayer = (_: unknown, i: number): CachedLayerWeights => {
    const cross = `decoder.${i}.crossAttention`
    return {
      selfAttention: selfAttention(`decoder.${i}.selfAttention`),
      crossAttention: {
        norm: plain(`${cross}.norm`),
        query: plain(`${cross}.query`),
        output: plain(`${cross}.output`),
      },
      keyValue: joined(`${cross}.key`, `${cross}.value`),
      feedForward: feedForward(`decoder.${i}.feedForward`),
    }
  }
  const dispose = () => tf.dispose(uploaded)
  try {
    return {
      embedding: plain('embedding'),
      encoder: {
        relativeBias: plain('encoder.relativeBias'),
        layers: Array.from({ length: config.encoderLayers }, encoderLayer),
        finalNorm: plain('encoder.finalNorm'),
      },
      decoder: {
        relativeBias: plain('decoder.relativeBias'),
        layers: Array.from({ length: config.decoderLayers }, decoderLayer),
      },
      exit: {
        norm: plain('decoder.finalNorm'),
        head: upload(headMatrix(config, weights), [config.dModel, config.vocabSize]),
      },
      confidenceHead: config.confidenceHead
        ? { weight: plain('confidenceHead.weight'), bias: plain('confidenceHead.bias') }
        : undefined,
      dispose,
    }
  } catch (error) {
    dispose()
    throw error
  }
}

/** The output head [D, V], times D^-1/2 where the model scales its logits. */
function headMatrix(config: ModelConfig, weights: HostWeights): Float32Array {
  const { dModel, vocabSize } = config
  const scale = config.scaleLogits ? dModel ** -0.5 : 1
  if (!config.tieEmbeddings) return weights.get('head')!.data.map((x) => x * scale)
  const embedding = weights.get('embedding')!.data
  const head = new Float32Array(embedding.length)
  for (let token = 0, from = 0; token < vocabSize; token++) {
    for (let d = 0; d < dModel; d++, from++) head[d * vocabSize + token] = embedding[from] * scale
  }
  return head
}
