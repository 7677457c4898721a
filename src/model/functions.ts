// The arithmetic of T5, each layer once, as pure functions of (weights, activations, masks): the LayersModel calls them
// for training, the incremental decoder calls them with caches. Follows transformers' modeling_t5.py.
//
// Shapes: B batch, P positions in this pass, N = B * P, M source length, T memory length, D model width, H heads,
// K head width, F feed-forward width. Hidden states are [N, D]. Keys are kept transposed, [B, H, K, T], so that no
// product has a transposed operand. The caller owns every returned tensor; intermediate ones are freed.
import * as tf from '@tensorflow/tfjs'
import { isRecording, product, productWithConstant, rmsNorm } from './product.js'

/** Applied wherever T5 drops while training; leave it out to keep everything. */
export type Dropout = <T extends tf.Tensor>(x: T) => T

/** A matrix [in, out] that states are multiplied with: one that may be trained, or one that stays as it is. */
export type Linear = tf.Tensor2D | FrozenLinear

/** A matrix that gets no gradient, and perhaps what is added to its product: a low-rank update. */
export interface FrozenLinear {
  readonly frozen: tf.Tensor2D
  /** [N, in] -> [N, out]. */
  readonly update?: (x: tf.Tensor2D) => tf.Tensor2D
}

export interface SelfAttentionWeights {
  readonly norm: tf.Tensor1D // [D]
  readonly queryKeyValue: Linear // [D, 3*H*K], queries first, then keys, then values
  readonly output: Linear // [H*K, D]
}

export interface CrossAttentionWeights {
  readonly norm: tf.Tensor1D // [D]
  readonly query: Linear // [D, H*K]
  readonly output: Linear // [H*K, D]
}

export interface FeedForwardWeights {
  readonly norm: tf.Tensor1D // [D]
  /** [D, F], or [D, 2*F] for a gated one: the gate first, then the linear part. */
  readonly input: Linear
  readonly output: Linear // [F, D]
}

export interface EncoderLayerWeights {
  readonly attention: SelfAttentionWeights
  readonly feedForward: FeedForwardWeights
}

export interface DecoderLayerWeights {
  readonly selfAttention: SelfAttentionWeights
  readonly crossAttention: CrossAttentionWeights
  readonly feedForward: FeedForwardWeights
}

/** What a layer needs to know of the model's shape. */
export interface LayerShape {
  readonly numHeads: number
  readonly gated: boolean
  readonly epsilon: number
}

export interface KeyValue {
  readonly key: tf.Tensor4D // [B, H, K, T], transposed
  readonly value: tf.Tensor4D // [B, H, T, K]
}

export interface LayerContext extends LayerShape {
  /** Batch size B: hidden has N = B * P rows. */
  readonly batch: number
  readonly dropout?: Dropout
}

const keep: Dropout = (x) => x

/** States [N, in] times a matrix -> [N, out]. */
function multiply(x: tf.Tensor2D, matrix: Linear): tf.Tensor2D {
  if (matrix instanceof tf.Tensor) return product(x, matrix)
  const plain = productWithConstant(x, matrix.frozen)
  return matrix.update ? tf.add(plain, matrix.update(x)) : plain
}

/** [N, H*K] -> [B, H, P, K]. */
function splitHeads(x: tf.Tensor, batch: number, numHeads: number): tf.Tensor4D {
  const positions = x.shape[0] / batch
  const width = x.shape[1]! / numHeads
  if (positions === 1) return tf.reshape(x, [batch, numHeads, 1, width])
  return tf.transpose(tf.reshape(x, [batch, positions, numHeads, width]), [0, 2, 1, 3]) as tf.Tensor4D
}

/** [N, H*K] -> [B, H, K, P]. */
function splitHeadsTransposed(x: tf.Tensor, batch: number, numHeads: number): tf.Tensor4D {
  const positions = x.shape[0] / batch
  const width = x.shape[1]! / numHeads
  if (positions === 1) return tf.reshape(x, [batch, numHeads, width, 1])
  return tf.transpose(tf.reshape(x, [batch, positions, numHeads, width]), [0, 2, 3, 1]) as tf.Tensor4D
}

/** [B, H, P, K] -> [N, H*K]. */
function mergeHeads(x: tf.Tensor4D): tf.Tensor2D {
  const [batch, numHeads, positions, width] = x.shape
  const inOrder = positions === 1 ? x : tf.transpose(x, [0, 2, 1, 3])
  return tf.reshape(inOrder, [batch * positions, numHeads * width])
}

/**
 * Attention without 1/sqrt(K) scaling: query [B, H, P, K] over a memory of T positions -> [N, H*K].
 * `bias` broadcasts to [B, H, P, T] and holds position bias and masks.
 */
function attend(query: tf.Tensor4D, memory: KeyValue, bias: tf.Tensor4D, dropout: Dropout): tf.Tensor2D {
  const scores = tf.add<tf.Tensor4D>(product(query, memory.key), bias) // [B, H, P, T]
  return mergeHeads(product(dropout(tf.softmax(scores)), memory.value))
}

/**
 * Keys and values that cross-attention reads, computed once a source. `states` [B*M, D] encoder output,
 * `keyValue` [D, 2*H*K] keys first -> key [B, H, K, M], value [B, H, M, K].
 */
export function crossKeyValue(
  states: tf.Tensor2D,
  keyValue: Linear,
  shape: { readonly batch: number; readonly numHeads: number },
): KeyValue {
  const [key, value] = tf.split(multiply(states, keyValue), 2, 1)
  const memory = {
    key: splitHeadsTransposed(key, shape.batch, shape.numHeads),
    value: splitHeads(value, shape.batch, shape.numHeads),
  }
  if (!isRecording()) tf.dispose([key, value])
  return memory
}

/** Self-attention sub-layer with its residual. `past`: keys and values of earlier positions; `bias` then covers both. */
function selfAttention(
  hidden: tf.Tensor2D,
  weights: SelfAttentionWeights,
  context: LayerContext & { readonly bias: tf.Tensor4D; readonly past?: KeyValue },
): { readonly hidden: tf.Tensor2D; readonly present: KeyValue } {
  const { batch, numHeads, epsilon, bias, past, dropout = keep } = context
  const normed = rmsNorm(hidden, weights.norm, epsilon)
  const [query, newKey, newValue] = tf.split(multiply(normed, weights.queryKeyValue), 3, 1)
  let key = splitHeadsTransposed(newKey, batch, numHeads)
  let value = splitHeads(newValue, batch, numHeads)
  if (past) {
    key = tf.concat([past.key, key], 3)
    value = tf.concat([past.value, value], 2)
  }
  const present = { key, value }
  const attended = attend(splitHeads(query, batch, numHeads), present, bias, dropout)
  return { hidden: tf.add(hidden, dropout(multiply(attended, weights.output))), present }
}

/** Cross-attention sub-layer with its residual; no position bias, `bias` [B, 1, 1, M] masks the padding. */
function crossAttention(
  hidden: tf.Tensor2D,
  weights: CrossAttentionWeights,
  context: LayerContext & { readonly memory: KeyValue; readonly bias: tf.Tensor4D },
): tf.Tensor2D {
  const { batch, numHeads, epsilon, memory, bias, dropout = keep } = context
  const query = multiply(rmsNorm(hidden, weights.norm, epsilon), weights.query)
  const attended = attend(splitHeads(query, batch, numHeads), memory, bias, dropout)
  return tf.add(hidden, dropout(multiply(attended, weights.output)))
}

/** Feed-forward sub-layer with its residual: ReLU (v1.0) or gated GELU in its tanh form (v1.1). */
function feedForward(hidden: tf.Tensor2D, weights: FeedForwardWeights, context: LayerContext): tf.Tensor2D {
  const { gated, epsilon, dropout = keep } = context
  const inner = multiply(rmsNorm(hidden, weights.norm, epsilon), weights.input)
  let activated: tf.Tensor2D
  if (gated) {
    const [gate, linear] = tf.split(inner, 2, 1)
    activated = tf.mul(geluTanh(gate as tf.Tensor2D), linear)
  } else {
    activated = tf.relu(inner)
  }
  return tf.add(hidden, dropout(multiply(dropout(activated), weights.output)))
}

/** GELU by its tanh approximation (gelu_new). */
function geluTanh(x: tf.Tensor2D): tf.Tensor2D {
  const inner = tf.mul(tf.add(x, tf.mul(tf.mul(tf.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI))
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1))
}

/** One encoder layer: hidden [B*M, D] -> [B*M, D]. `bias` [B or 1, H, M, M] holds position bias and padding mask. */
export function encoderLayer(
  hidden: tf.Tensor2D,
  weights: EncoderLayerWeights,
  context: LayerContext & { readonly bias: tf.Tensor4D },
): tf.Tensor2D {
  return tf.tidy(() => {
    const attended = selfAttention(hidden, weights.attention, context).hidden
    return feedForward(attended, weights.feedForward, context)
  })
}

export interface DecoderLayerContext extends LayerContext {
  /** [1 or B, H, P, T] position bias and causal mask over past and present positions. */
  readonly selfBias: tf.Tensor4D
  /** Keys and values of earlier positions, if any. */
  readonly past?: KeyValue
  /** What cross-attention reads: see {@link crossKeyValue}. */
  readonly memory: KeyValue
  /** [B, 1, 1, M] padding mask of the source. */
  readonly memoryBias: tf.Tensor4D
}

/** One decoder layer: hidden [N, D] -> hidden [N, D], and the keys and values of all positions so far. */
export function decoderLayer(
  hidden: tf.Tensor2D,
  weights: DecoderLayerWeights,
  context: DecoderLayerContext,
): { readonly hidden: tf.Tensor2D; readonly present: KeyValue } {
  const { selfBias, memory, memoryBias, past, ...layer } = context
  const [output, key, value] = tf.tidy(() => {
    const own = selfAttention(hidden, weights.selfAttention, { ...layer, bias: selfBias, past })
    const crossed = crossAttention(own.hidden, weights.crossAttention, { ...layer, memory, bias: memoryBias })
    return [feedForward(crossed, weights.feedForward, layer), own.present.key, own.present.value]
  })
  return {
    hidden: output as tf.Tensor2D,
    present: { key: key as tf.Tensor4D, value: value as tf.Tensor4D },
  }
}

export interface HeadWeights {
  /** Final norm of the decoder [D], shared by all exits. */
  readonly norm: tf.Tensor1D
  /** [D, V]. */
  readonly head: tf.Tensor2D
}

/** A 2-way head on the shallow state: column 0 says that the deep exit would choose another token, column 1 the same. */
export interface ConfidenceHeadWeights {
  readonly weight: tf.Tensor2D // [D, 2]
  readonly bias: tf.Tensor1D // [2]
}

/**
 * Probability that the deep exit agrees with the shallow one, [N], in [0, 1] (the meta classifier of CALM, Schuster et al.
 * 2022, section 3.5, and FREE). `normed` [N, D]: the shallow state after the final norm, not scaled.
 */
export function agreementProbability(normed: tf.Tensor2D, head: ConfidenceHeadWeights): tf.Tensor1D {
  return tf.tidy(() => {
    const logits = tf.add(product(normed, head.weight), head.bias)
    return tf.reshape(tf.slice(tf.softmax(logits), [0, 1], [-1, 1]), [-1])
  })
}

/** Logits [N, V] of any exit: final norm, then D^-1/2 where `scaleLogits` (v1.0), then the head. */
export function exitLogits(
  hidden: tf.Tensor2D,
  weights: HeadWeights,
  options: { readonly epsilon: number; readonly scaleLogits: boolean },
): tf.Tensor2D {
  return tf.tidy(() => {
    const normed = rmsNorm(hidden, weights.norm, options.epsilon)
    const scaled = options.scaleLogits ? tf.mul(normed, hidden.shape[1] ** -0.5) : normed
    return product(scaled as tf.Tensor2D, weights.head)
  })
}
