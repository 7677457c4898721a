// The arithmetic of T5, each layer once, as pure functions of (weights, activations, masks): the LayersModel calls them
// for training, the incremental decoder calls them with caches. Follows transformers' modeling_t5.py.
//
// Shapes: B batch, P positions in this pass, N = B * P (or the sum of B * P over groups of rows), M source length, T memory
// length, D model width, H heads, K head width, F feed-forward width. Hidden states are [N, D]. The caller owns every
// returned tensor; intermediate ones are freed.
import * as tf from '@tensorflow/tfjs'
import {
  isRecording,
  lengthNorm,
  product,
  productTransposed,
  productWithConstant,
  rmsNorm,
  takeFirst,
} from './product.js'

/** Applied wherever T5 drops while training; leave it out to keep everything. */
export type Dropout = <T extends tf.Tensor>(x: T) => T

/** A matrix [in, out] that states are multiplied with: one that may be trained, or one that stays as it is. */
export type Linear = tf.Tensor2D | FrozenLinear | FixedMatrix

/** A matrix that a backend keeps in a way of its own, for inference alone. */
export interface FixedMatrix {
  /** [in, out]. */
  readonly shape: readonly [number, number]
  /** [N, in] -> [N, out]. */
  multiply(x: tf.Tensor2D): tf.Tensor2D
}

/** A matrix that gets no gradient, and perhaps what is added to its product: a low-rank update. */
export interface FrozenLinear {
  readonly frozen: tf.Tensor2D
  /** [N, in] -> [N, out]. */
  readonly update?: (x: tf.Tensor2D) => tf.Tensor2D
}

/** The weight [D] of the norm before a sub-layer; or null: it stands, times sqrt(D), in the matrix that reads the norm. */
export type NormWeight = tf.Tensor1D | null

export interface SelfAttentionWeights {
  readonly norm: NormWeight
  readonly queryKeyValue: Linear // [D, 3*H*K], queries first, then keys, then values
  readonly output: Linear // [H*K, D]
}

export interface CrossAttentionWeights {
  readonly norm: NormWeight
  readonly query: Linear // [D, H*K]
  readonly output: Linear // [H*K, D]
}

export interface FeedForwardWeights {
  readonly norm: NormWeight
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
  readonly key: tf.Tensor4D // [B, H, T, K]
  readonly value: tf.Tensor4D // [B, H, T, K]
}

export interface LayerContext extends LayerShape {
  readonly dropout?: Dropout
}

const keep: Dropout = (x) => x

/** States [N, in] times a matrix -> [N, out]. */
function multiply(x: tf.Tensor2D, matrix: Linear): tf.Tensor2D {
  if (matrix instanceof tf.Tensor) return product(x, matrix)
  if (!('frozen' in matrix)) return matrix.multiply(x)
  const plain = productWithConstant(x, matrix.frozen)
  return matrix.update ? tf.add(plain, matrix.update(x)) : plain
}

/** The same after a dropout; then `added` [N, out] to it, or a ReLU. */
function multiplyThen(
  x: tf.Tensor2D,
  matrix: Linear,
  {
    dropout,
    added,
    relu = false,
  }: { readonly dropout: Dropout; readonly added?: tf.Tensor2D; readonly relu?: boolean },
): tf.Tensor2D {
  const plain = dropout(multiply(x, matrix))
  const sum = added ? tf.add<tf.Tensor2D>(added, plain) : plain
  return relu ? tf.relu(sum) : sum
}

function normalise(x: tf.Tensor2D, weight: NormWeight, epsilon: number): tf.Tensor2D {
  return weight ? rmsNorm(x, weight, epsilon) : lengthNorm(x, epsilon)
}

/** [N, H*K] -> [B, H, P, K]. */
function splitHeads(x: tf.Tensor, batch: number, numHeads: number): tf.Tensor4D {
  const positions = x.shape[0] / batch
  const width = x.shape[1]! / numHeads
  if (positions === 1) return tf.reshape(x, [batch, numHeads, 1, width])
  return tf.transpose(tf.reshape(x, [batch, positions, numHeads, width]), [0, 2, 1, 3]) as tf.Tensor4D
}

/** [B, H, P, K] -> [N, H*K]. */
function mergeHeads(x: tf.Tensor4D): tf.Tensor2D {
  const [batch, numHeads, positions, width] = x.shape
  const inOrder = positions === 1 ? x : tf.transpose(x, [0, 2, 1, 3])
  return tf.reshape(inOrder, [batch * positions, numHeads * width])
}

/**
 * Attention without 1/sqrt(K) scaling: query [B, H, P, K] over a memory of T positions -> [N, H*K].
 * `bias` broadcasts to [B, H, P, T] and holds position bias and masks; none: nothing to add.
 */
function attend(
  query: tf.Tensor4D,
  memory: KeyValue,
  bias: tf.Tensor4D | undefined,
  dropout: Dropout,
): tf.Tensor2D {
  const plain = productTransposed(query, memory.key) // [B, H, P, T]
  const scores = bias ? tf.add<tf.Tensor4D>(plain, bias) : plain
  return mergeHeads(product(dropout(tf.softmax(scores)), memory.value))
}

/**
 * Keys and values that cross-attention reads, computed once a source. `states` [B*M, D] encoder output,
 * `keyValue` [D, 2*H*K] keys first -> key and value [B, H, M, K].
 */
export function crossKeyValue(
  states: tf.Tensor2D,
  keyValue: Linear,
  shape: { readonly batch: number; readonly numHeads: number },
): KeyValue {
  const parts = tf.split(multiply(states, keyValue), 2, 1)
  const [key, value] = parts.map((part) => splitHeads(part, shape.batch, shape.numHeads))
  if (!isRecording()) tf.dispose(parts)
  return { key, value }
}

/** Rows in step with each other, B of them with P new positions each. */
interface RowGroup {
  readonly batch: number
  readonly numPositions: number
}

/**
 * Something of each group's part of `x`, whose first axis runs over the positions of all groups, one group after the
 * other; the results [.., D] in the same order. A lone group costs nothing here.
 */
function overGroups<G extends RowGroup>(
  x: tf.Tensor2D,
  groups: readonly G[],
  compute: (part: tf.Tensor2D, group: G, index: number) => tf.Tensor2D,
): tf.Tensor2D {
  if (groups.length === 1) return compute(x, groups[0], 0)
  let start = 0
  const results = groups.map((group, i) => {
    const count = group.batch * group.numPositions
    const part = takeFirst(x, start, count)
    start += count
    return compute(part, group, i)
  })
  return tf.concat(results, 0)
}

/** A group's self-attention. `past`: keys and values of earlier positions; `bias` then covers both. */
interface SelfAttentionGroup extends RowGroup {
  readonly bias: tf.Tensor4D
  readonly past?: KeyValue
}

/** Self-attention sub-layer with its residual; and, by group, the keys and values of all positions so far. */
function selfAttention(
  hidden: tf.Tensor2D,
  weights: SelfAttentionWeights,
  context: LayerContext & { readonly groups: readonly SelfAttentionGroup[] },
): { readonly hidden: tf.Tensor2D; readonly present: readonly KeyValue[] } {
  const { groups, numHeads, epsilon, dropout = keep } = context
  const present: KeyValue[] = []
  const projected = multiply(normalise(hidden, weights.norm, epsilon), weights.queryKeyValue)
  const attended = overGroups(projected, groups, (part, group) => {
    const { batch, bias, past } = group
    const [query, key, value] = tf.split(part, 3, 1).map((x) => splitHeads(x, batch, numHeads))
    const memory = past
      ? { key: tf.concat([past.key, key], 2), value: tf.concat([past.value, value], 2) }
      : { key, value }
    present.push(memory)
    return attend(query, memory, bias, dropout)
  })
  return { hidden: multiplyThen(attended, weights.output, { added: hidden, dropout }), present }
}

/** What a group's cross-attention reads; no position bias, `memoryBias` [B or 1, 1, 1, M] masks padding, if there is any. */
interface CrossAttentionGroup extends RowGroup {
  readonly memory: KeyValue
  readonly memoryBias?: tf.Tensor4D
}

/** Cross-attention sub-layer with its residual. */
function crossAttention(
  hidden: tf.Tensor2D,
  weights: CrossAttentionWeights,
  context: LayerContext & { readonly groups: readonly CrossAttentionGroup[] },
): tf.Tensor2D {
  const { groups, numHeads, epsilon, dropout = keep } = context
  const queries = multiply(normalise(hidden, weights.norm, epsilon), weights.query)
  const attended = overGroups(queries, groups, (part, { batch, memory, memoryBias }) =>
    attend(splitHeads(part, batch, numHeads), memory, memoryBias, dropout),
  )
  return multiplyThen(attended, weights.output, { added: hidden, dropout })
}

/** Feed-forward sub-layer with its residual: ReLU (v1.0) or gated GELU in its tanh form (v1.1). */
function feedForward(hidden: tf.Tensor2D, weights: FeedForwardWeights, context: LayerContext): tf.Tensor2D {
  const { gated, epsilon, dropout = keep } = context
  const normed = normalise(hidden, weights.norm, epsilon)
  let activated: tf.Tensor2D
  if (gated) {
    const [gate, linear] = tf.split(multiply(normed, weights.input), 2, 1)
    activated = tf.mul(geluTanh(gate as tf.Tensor2D), linear)
  } else {
    activated = multiplyThen(normed, weights.input, { relu: true, dropout: keep })
  }
  return multiplyThen(dropout(activated), weights.output, { added: hidden, dropout })
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
  context: LayerContext & { readonly batch: number; readonly bias: tf.Tensor4D },
): tf.Tensor2D {
  const { batch, bias, ...layer } = context
  const groups = [{ batch, numPositions: hidden.shape[0] / batch, bias }]
  return tf.tidy(() => {
    const attended = selfAttention(hidden, weights.attention, { ...layer, groups }).hidden
    return feedForward(attended, weights.feedForward, layer)
  })
}

/** Rows that go through a decoder layer in step: B of them, each with T - P past and P present positions. */
export interface DecoderGroup extends RowGroup, CrossAttentionGroup {
  /** [1 or B, H, P, T] position bias and causal mask over past and present positions. */
  readonly selfBias: tf.Tensor4D
  /** Keys and values of earlier positions, if any. */
  readonly past?: KeyValue
  /** What cross-attention reads, of batch 1 or B: see {@link crossKeyValue}. */
  readonly memory: KeyValue
}

/**
 * One decoder layer: hidden [N, D] of groups of rows, one after the other, -> hidden [N, D], and by group the keys and
 * values of all positions so far. Matrices see all positions at once; only attention is by group.
 */
export function decoderLayer(
  hidden: tf.Tensor2D,
  weights: DecoderLayerWeights,
  context: LayerContext & { readonly groups: readonly DecoderGroup[] },
): { readonly hidden: tf.Tensor2D; readonly present: readonly KeyValue[] } {
  const { groups, ...layer } = context
  const [output, ...parts] = tf.tidy(() => {
    const own = selfAttention(hidden, weights.selfAttention, {
      ...layer,
      groups: groups.map(({ selfBias, ...group }) => ({ ...group, bias: selfBias })),
    })
    const crossed = crossAttention(own.hidden, weights.crossAttention, context)
    const keyValues = own.present.flatMap(({ key, value }): tf.Tensor[] => [key, value])
    return [feedForward(crossed, weights.feedForward, layer) as tf.Tensor, ...keyValues]
  })
  return {
    hidden: output as tf.Tensor2D,
    present: groups.map((_, i) => ({
      key: parts[2 * i] as tf.Tensor4D,
      value: parts[2 * i + 1] as tf.Tensor4D,
    })),
  }
}

export interface HeadWeights {
  /** Of the decoder's final norm, which all exits share. */
  readonly norm: NormWeight
  readonly head: Linear // [D, V]
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
    const normed = normalise(hidden, weights.norm, options.epsilon)
    const scaled = options.scaleLogits ? tf.mul(normed, hidden.shape[1] ** -0.5) : normed
    return multiply(scaled as tf.Tensor2D, weights.head)
  })
}
