// A model's weights as the incremental decoder takes them: uploaded once, matrices that read the same input side by side,
// the weights of norms in the matrices that read them, and nothing left to transpose or scale while decoding.
import * as tf from '@tensorflow/tfjs'
import { joinColumns, precisionFor, transposeWeight } from '../../config/index.js'
import type { ModelConfig, PrecisionOptions } from '../../config/index.js'
import type {
  ConfidenceHeadWeights,
  DecoderLayerWeights,
  EncoderLayerWeights,
  FeedForwardWeights,
  HeadWeights,
  HostWeight,
  HostWeights,
  Linear,
  SelfAttentionWeights,
} from '../../model/index.js'
import { checkWeights } from '../checks.js'
import type { Kernels } from './wasm/kernels.js'
import { PackedMatrix } from './wasm/packedMatrix.js'
import { ProposalHead } from './wasm/proposalHead.js'
import { QuantisedMatrix } from './wasm/quantisedMatrix.js'
import { QuantisedRows } from './wasm/quantisedRows.js'

/** A decoder layer, and what makes the keys and values that its cross-attention reads. */
export interface CachedLayerWeights extends DecoderLayerWeights {
  readonly keyValue: Linear // [D, 2*H*K]
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
  /** Any exit's; the scale of the logits and the norm's weight are in `head`. What proposes tokens, where it pays. */
  readonly exit: HeadWeights & { readonly proposal: ProposalHead | undefined }
  /** With the final norm's weight in its matrix. Undefined in a model without one. */
  readonly confidenceHead: ConfidenceHeadWeights | undefined
  dispose(): void
}

/** How weights are to lie on the backend. */
export interface UploadOptions extends PrecisionOptions {
  /** With them matrices of layers are packed for the kernels. Neutral: undefined, they stay plain and in float32. */
  readonly kernels?: Kernels
}

/**
 * Uploads weights to the current backend; the host's copies are not needed any more. The caller disposes them.
 * Throws `engine.missing-weight` and `engine.wrong-shape`, naming the first weight at fault.
 */
export function uploadWeights(
  config: ModelConfig,
  weights: HostWeights,
  { kernels, ...precision }: UploadOptions = {},
): EngineWeights {
  checkWeights(config, weights)
  const precisionOf = precisionFor(precision)
  const uploaded: { dispose(): void }[] = []
  const keep = <T extends { dispose(): void }>(weight: T): T => {
    uploaded.push(weight)
    return weight
  }
  const tensor = <T extends tf.Tensor>({ data, shape }: HostWeight): T =>
    keep(tf.keep(tf.tensor(data, [...shape], 'float32'))) as T
  const plain = <T extends tf.Tensor>(name: string): T => tensor(weights.get(name)!)
  const joined = (...names: string[]): HostWeight => joinColumns(names.map((name) => weights.get(name)!))
  /** A matrix that reads a norm, with the norm's weight in it. */
  const afterNorm = (norm: string, matrix: HostWeight): HostWeight => foldNorm(matrix, weights.get(norm)!)
  const inputs8 = kernels && keep(new QuantisedRows(kernels))
  /** A matrix that only products read; its name says in what precision it is. */
  const fixed = (name: string, matrix: HostWeight): Linear => {
    if (!kernels) return tensor<tf.Tensor2D>(matrix)
    const is8Bit = precisionOf(name) === 'int8'
    return keep(is8Bit ? new QuantisedMatrix(kernels, inputs8!, matrix) : new PackedMatrix(kernels, matrix))
  }
  const selfAttention = (prefix: string): SelfAttentionWeights => ({
    norm: null,
    queryKeyValue: fixed(
      `${prefix}.queryKeyValue`,
      afterNorm(`${prefix}.norm`, joined(`${prefix}.query`, `${prefix}.key`, `${prefix}.value`)),
    ),
    output: fixed(`${prefix}.output`, joined(`${prefix}.output`)),
  })
  const inputs = config.feedForward === 'gated-gelu' ? ['gate', 'input'] : ['input']
  const feedForward = (prefix: string): FeedForwardWeights => ({
    norm: null,
    input: fixed(
      `${prefix}.input`,
      afterNorm(`${prefix}.norm`, joined(...inputs.map((part) => `${prefix}.${part}`))),
    ),
    output: fixed(`${prefix}.output`, joined(`${prefix}.output`)),
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
        norm: null,
        query: fixed(`${cross}.query`, afterNorm(`${cross}.norm`, joined(`${cross}.query`))),
        output: fixed(`${cross}.output`, joined(`${cross}.output`)),
      },
      keyValue: fixed(`${cross}.keyValue`, joined(`${cross}.key`, `${cross}.value`)),
      feedForward: feedForward(`decoder.${i}.feedForward`),
    }
  }
  const exitOf = (matrix: HostWeight): EngineWeights['exit'] => {
    if (kernels && precisionOf('head') === 'int8') {
      return { norm: null, head: fixed('head', matrix), proposal: undefined }
    }
    const head = tensor<tf.Tensor2D>(matrix)
    const proposal = kernels && ProposalHead.of(kernels, head, matrix)
    return { norm: null, head, proposal: proposal && keep(proposal) }
  }
  // What was made of a weight goes before it.
  const dispose = () => uploaded.toReversed().forEach((weight) => weight.dispose())
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
      exit: exitOf(afterNorm('decoder.finalNorm', headMatrix(config, weights))),
      confidenceHead: config.confidenceHead
        ? {
            weight: tensor(afterNorm('decoder.finalNorm', weights.get('confidenceHead.weight')!)),
            bias: plain('confidenceHead.bias'),
          }
        : undefined,
      dispose,
    }
  } catch (error) {
    dispose()
    throw error
  }
}

/** The output head [D, V], times D^-1/2 where the model scales its logits. */
function headMatrix(config: ModelConfig, weights: HostWeights): HostWeight {
  const { shape, data } = config.tieEmbeddings
    ? transposeWeight(weights.get('embedding')!)
    : weights.get('head')!
  const scale = config.scaleLogits ? config.dModel ** -0.5 : 1
  return { shape, data: data.map((x) => x * scale) }
}

/** A matrix [D, C] with each row times the norm's weight [D] and sqrt(D): see `NormWeight`. */
function foldNorm({ shape, data }: HostWeight, norm: HostWeight): HostWeight {
  const [numRows, width] = shape
  const folded = new Float32Array(data.length)
  for (let row = 0, i = 0; row < numRows; row++) {
    const scale = norm.data[row] * Math.sqrt(numRows)
    for (let column = 0; column < width; column++, i++) folded[i] = data[i] * scale
  }
  return { shape, data: folded }
}
