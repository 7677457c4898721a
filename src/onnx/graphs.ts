// The graphs that a shallow-deep T5 becomes: the encoder with all that cross-attention reads, a segment of decoder layers
// with its caches, and an exit. No weight stands in two of them (but for the head, which a proposal has in 8 bits too).
// Shapes: B rows, M source length, P positions in this pass, T positions so far with these, C positions that a cache has
// room for, N positions in all, D model width, H heads, K head width.
import { transposeWeight, type EngineDtype, type HostWeights, type ModelConfig } from '../config/index.js'
import type { Chunks } from '../protobuf/index.js'
import { GraphBuilder, type ConstantTensor } from './graph.js'
import { attend, biasByDistance, feedForward, product, Residual, type LayerContext } from './layers.js'
import { cachedHeadWidth, Matrices } from './matrices.js'
import { floatConstant, multiply } from './product.js'

/** A model, and in what precision its matrices are. */
export interface GraphModel {
  readonly config: ModelConfig
  /** By our names; must be complete. */
  readonly weights: HostWeights
  /** Of the matrix of that name. Neutral: float32 for all. */
  readonly precisionOf?: (name: string) => EngineDtype
}

/** What a graph of a model is begun with. */
export function contextOf({ config, weights, precisionOf = () => 'float32' }: GraphModel): LayerContext {
  return { graph: new GraphBuilder(), config, weights, precisionOf, matrices: new Matrices(config, weights) }
}

/** `tokens` int64 [B, P] -> `states` [B, P, D]: what the encoder and the first segment begin with. */
export function embeddingGraph(model: GraphModel): Chunks {
  const context = contextOf(model)
  const { graph, config, matrices } = context
  graph.input({ name: 'tokens', type: 'int64', shape: ['B', 'P'] })
  graph.output({ name: 'states', type: 'float32', shape: ['B', 'P', config.dModel] })
  graph.node('Gather', [floatConstant(graph, matrices.plain('embedding')), 'tokens'], { outputs: ['states'] })
  return graph.finish('embedding')
}

/**
 * `states` [B, M, D] and `mask` int32 [B, M] (1 where a token is, 0 at padding) -> `encoded` [B, M, D], and for each
 * decoder layer i, from 0, `cross_key.i` and `cross_value.i` [B, H, M, K].
 */
export function encoderGraph(model: GraphModel): Chunks {
  const context = contextOf(model)
  const { graph, config } = context
  const { dModel, dKv, numHeads } = config
  const states = graph.input({ name: 'states', type: 'float32', shape: ['B', 'M', dModel] })
  const mask = graph.input({ name: 'mask', type: 'int32', shape: ['B', 'M'] })
  const bias = encoderBias(context, mask)
  const residual = new Residual(context, states)
  for (let i = 0; i < config.encoderLayers; i++) encoderLayer(context, residual, { i, mask, bias })
  const encoded = residual.normed('encoder.finalNorm')
  graph.output({ name: 'encoded', type: 'float32', shape: ['B', 'M', dModel] })
  graph.node('Identity', [encoded], { outputs: ['encoded'] })
  for (let i = 0; i < config.decoderLayers; i++) {
    for (const part of ['key', 'value']) {
      const name = `cross_${part}.${i}`
      graph.output({ name, type: 'float32', shape: ['B', numHeads, 'M', dKv] })
      const flat = product(context, encoded, context.matrices.plain(`decoder.${i}.crossAttention.${part}`))
      const byHead = graph.node('Reshape', [flat, graph.integers([0, 0, numHeads, dKv])])
      graph.node('Transpose', [byHead], { attributes: { perm: [0, 2, 1, 3] }, outputs: [name] })
    }
  }
  return graph.finish('encoder')
}

function encoderLayer(
  context: LayerContext,
  residual: Residual,
  { i, mask, bias }: { readonly i: number; readonly mask: string; readonly bias: string },
): void {
  const { graph, matrices } = context
  const prefix = `encoder.${i}.attention`
  const normed = residual.normed(`${prefix}.norm`)
  const joined = product(context, normed, matrices.joined(prefix, ['query', 'key', 'value']))
  const outputs = ['query', 'key', 'value'].map((part) => `${prefix}.${part}`)
  const [query, key, value] = graph.nodes('Split', [joined], {
    attributes: { axis: -1, num_outputs: 3 },
    outputs,
  })
  const attended = attend(context, query, { key, value, mask, bias })
  residual.add(product(context, attended, matrices.plain(`${prefix}.output`)))
  feedForward(context, residual, `encoder.${i}.feedForward`)
}

/** [1, H, M, M] of the encoder's positions. */
function encoderBias(context: LayerContext, mask: string): string {
  const { graph, config } = context
  const most = config.relativeMaxDistance
  const table = biasByDistance(context, 'encoder', { from: -most, to: most })
  const length = graph.node('Shape', [mask], { attributes: { start: 1, end: 2 } })
  const bounds = [graph.integers(0), graph.node('Squeeze', [length]), graph.integers(1)]
  const positions = graph.node('Range', bounds) // [M]
  const distances = graph.node('Sub', [positions, graph.node('Unsqueeze', [positions, graph.integers([1])])])
  const clipped = graph.node('Clip', [distances, graph.integers(-most), graph.integers(most)])
  const indices = graph.node('Add', [clipped, graph.integers(most)]) // [M, M]
  const bias = graph.node('Gather', [table, indices], { attributes: { axis: 1 } }) // [H, M, M]
  return graph.node('Unsqueeze', [bias, graph.integers([0])])
}

/** Decoder layers `from + 1` to `to`. */
export interface Segment {
  readonly from: number
  readonly to: number
}

/**
 * A segment: `states` [B, P, D] of new positions -> `next_states` [B, P, D]. Inputs beside them:
 * `positions` int32 [B, P, 1], where they stand, from 0; `last_position` int32 [B], the last of each row;
 * `total_length` int32, one more than the largest of them; `mask` int32 [B, M] of the sources; for each layer i, from 0,
 * `cross_key.i` and `cross_value.i` [B, H, M, K] of the encoder, and `past_key.i` and `past_value.i` [B, H, C, K'], K'
 * being {@link cachedHeadWidth}. Outputs beside them: `present_key.i` and `present_value.i`, the same caches with the new
 * positions; where they are given the memory of the past ones, nothing else is written.
 * More than one new position (P) go with one row (B) only, unless nothing came before.
 */
export function segmentGraph(model: GraphModel, { from, to }: Segment): Chunks {
  const context = contextOf(model)
  const { graph, config } = context
  const { dModel, dKv, numHeads } = config
  const residual = new Residual(
    context,
    graph.input({ name: 'states', type: 'float32', shape: ['B', 'P', dModel] }),
  )
  const bias = decoderBias(context)
  graph.input({ name: 'last_position', type: 'int32', shape: ['B'] })
  graph.input({ name: 'mask', type: 'int32', shape: ['B', 'M'] })
  graph.output({ name: 'next_states', type: 'float32', shape: ['B', 'P', dModel] })
  for (let i = from; i < to; i++) {
    for (const part of ['key', 'value']) {
      const cache = { type: 'float32', shape: ['B', numHeads, 'C', cachedHeadWidth(config)] } as const
      graph.input({ name: `cross_${part}.${i}`, type: 'float32', shape: ['B', numHeads, 'M', dKv] })
      graph.input({ name: `past_${part}.${i}`, ...cache })
      graph.output({ name: `present_${part}.${i}`, ...cache })
    }
    selfAttention(context, residual, { i, bias })
    crossAttention(context, residual, i)
    feedForward(context, residual, `decoder.${i}.feedForward`)
  }
  residual.finish('next_states')
  return graph.finish(`decoder layers ${from + 1} to ${to}`)
}

function selfAttention(
  context: LayerContext,
  residual: Residual,
  { i, bias }: { readonly i: number; readonly bias: string },
): void {
  const { graph, config, matrices } = context
  const prefix = `decoder.${i}.selfAttention`
  const normed = residual.normed(`${prefix}.norm`)
  const joined = product(context, normed, matrices.selfQueryKeyValue(prefix))
  const past = [`past_key.${i}`, `past_value.${i}`]
  const attended = graph.node(
    'GroupQueryAttention',
    [joined, '', '', ...past, 'last_position', 'total_length', '', '', '', bias],
    {
      attributes: { num_heads: config.numHeads, kv_num_heads: config.numHeads, scale: { float: 1 } },
      outputs: [`${prefix}.attended`, `present_key.${i}`, `present_value.${i}`],
    },
  )
  residual.add(product(context, attended, matrices.selfOutput(prefix)))
}

function crossAttention(context: LayerContext, residual: Residual, i: number): void {
  const { matrices } = context
  const prefix = `decoder.${i}.crossAttention`
  const normed = residual.normed(`${prefix}.norm`)
  const query = product(context, normed, matrices.plain(`${prefix}.query`))
  const memory = { key: `cross_key.${i}`, value: `cross_value.${i}`, mask: 'mask', bias: '' }
  residual.add(product(context, attend(context, query, memory), matrices.plain(`${prefix}.output`)))
}

/** [B, H, P, T] of the new positions over all so far; what comes after a position is the attention's to mask. */
function decoderBias(context: LayerContext): string {
  const { graph, config } = context
  const most = config.relativeMaxDistance
  const positions = graph.input({ name: 'positions', type: 'int32', shape: ['B', 'P', 1] })
  const total = graph.input({ name: 'total_length', type: 'int32', shape: [] })
  const table = biasByDistance(context, 'decoder', { from: -most, to: 0 })
  const [zero, one, edge] = [0, 1, most].map((value) => graph.integers(value, 'int32'))
  const memory = graph.node('Range', [zero, total, one]) // [T]
  const distances = graph.node('Add', [graph.node('Sub', [memory, positions]), edge])
  const clipped = graph.node('Clip', [distances, zero, edge]) // [B, P, T]
  const bias = graph.node('Gather', [table, clipped], { attributes: { axis: 1 } }) // [H, B, P, T]
  return graph.node('Transpose', [bias], { attributes: { perm: [1, 0, 2, 3] } })
}

/**
 * An exit: `states` [N, D] -> `logits` [N, V]; `best` int64 [N, 2], the tokens of the two largest, of equal ones the lower
 * first; `probabilities` [N, 2] of these, whose difference is the confidence; `logit_sum` [N, 1], which is not a number
 * where any logit is none.
 */
export function exitGraph(model: GraphModel): Chunks {
  const context = contextOf(model)
  const { graph, config } = context
  const { dModel, vocabSize } = config
  const pair = ['N', 2]
  graph.output({ name: 'logits', type: 'float32', shape: ['N', vocabSize] })
  graph.output({ name: 'best', type: 'int64', shape: pair })
  graph.output({ name: 'probabilities', type: 'float32', shape: pair })
  graph.output({ name: 'logit_sum', type: 'float32', shape: ['N', 1] })
  const states = graph.input({ name: 'states', type: 'float32', shape: ['N', dModel] })
  const weight = graph.constant('exit.norm', () => exitNorm(model))
  const attributes = { axis: -1, epsilon: { float: config.layerNormEpsilon } }
  const normed = graph.node('RMSNormalization', [states, weight], { attributes })
  head(context, normed, 'logits')
  graph.nodes('TopK', ['logits', graph.integers([2])], { outputs: ['exit.best_logits', 'best'] })
  const all = graph.node('Softmax', ['logits'])
  graph.node('GatherElements', [all, 'best'], { attributes: { axis: 1 }, outputs: ['probabilities'] })
  graph.node('ReduceSum', ['logits', graph.integers([1])], { outputs: ['logit_sum'] })
  return graph.finish('exit')
}

/** The decoder's final norm, times D^-1/2 where the model scales its logits. */
export function exitNorm({ config, weights }: GraphModel): ConstantTensor {
  const { shape, data } = weights.get('decoder.finalNorm')!
  const scale = config.scaleLogits ? config.dModel ** -0.5 : 1
  return { type: 'float32', shape, data: data.map((x) => x * scale) }
}

/** States [N, D] times the output head -> [N, V], under the name of an output of the graph. */
function head(context: LayerContext, states: string, output: string): void {
  const { graph, matrices, config } = context
  const precision = context.precisionOf('head')
  if (!config.tieEmbeddings) {
    multiply(graph, states, matrices.plain('head'), { precision, output })
  } else if (precision === 'float32') {
    // As it is: a transposed copy would be the largest thing in memory.
    const embedding = floatConstant(graph, matrices.plain('embedding'))
    graph.node('Gemm', [states, embedding], { attributes: { transB: 1 }, outputs: [output] })
  } else {
    const { make } = matrices.plain('embedding')
    const matrix = { name: 'head', make: () => transposeWeight(make()) }
    multiply(graph, states, matrix, { precision, output })
  }
}
