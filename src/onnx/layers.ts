// T5's sub-layers as nodes of a graph: the same arithmetic as model/functions.ts, in the operators that ONNX Runtime has
// one kernel for. States are [B, P, D]: B rows, P positions in this pass.
import { relativeBucket, type EngineDtype, type HostWeights, type ModelConfig } from '../config/index.js'
import type { GraphBuilder } from './graph.js'
import type { Matrices } from './matrices.js'
import { floatConstant, multiply, type NamedMatrix } from './product.js'

/** What all layers of a graph are made of. */
export interface LayerContext {
  readonly graph: GraphBuilder
  readonly config: ModelConfig
  readonly weights: HostWeights
  readonly matrices: Matrices
  /** Of the matrix of that name. */
  readonly precisionOf: (name: string) => EngineDtype
}

/** States times a matrix, in the precision that its name has. */
export function product(context: LayerContext, states: string, matrix: NamedMatrix): string {
  return multiply(context.graph, states, matrix, { precision: context.precisionOf(matrix.name) })
}

/**
 * The states on their way through the sub-layers: each adds to them, and each reads them normed. Both are one node, so an
 * addition waits for the norm that comes next.
 */
export class Residual {
  private added: string | undefined

  constructor(
    private readonly context: LayerContext,
    private states: string,
  ) {}

  add(states: string): void {
    this.added = states
  }

  /** Everything added so far, normed by the weight of that name. */
  normed(name: string): string {
    const { graph, matrices } = this.context
    const epsilon = { float: this.context.config.layerNormEpsilon }
    const weight = floatConstant(graph, matrices.plain(name))
    const normed = `${name}.normed`
    if (this.added === undefined) {
      const attributes = { axis: -1, epsilon }
      return graph.node('RMSNormalization', [this.states, weight], { attributes, outputs: [normed] })
    }
    const sum = `${name}.states`
    graph.node('SkipSimplifiedLayerNormalization', [this.states, this.added, weight], {
      attributes: { epsilon },
      outputs: [normed, '', '', sum],
    })
    this.states = sum
    this.added = undefined
    return normed
  }

  /** Everything added, under the name of an output of the graph. */
  finish(name: string): void {
    this.context.graph.node('Add', [this.states, this.added!], { outputs: [name] })
  }
}

/** Feed-forward sub-layer: ReLU (v1.0) or gated GELU in its tanh form (v1.1). */
export function feedForward(context: LayerContext, residual: Residual, prefix: string): void {
  const { graph, config, matrices } = context
  const normed = residual.normed(`${prefix}.norm`)
  let activated: string
  if (config.feedForward === 'relu') {
    activated = graph.node('Relu', [product(context, normed, matrices.plain(`${prefix}.input`))])
  } else {
    const gate = product(context, normed, matrices.plain(`${prefix}.gate`))
    const linear = product(context, normed, matrices.plain(`${prefix}.input`))
    const attributes = { approximate: 'tanh' }
    activated = graph.node('Mul', [graph.node('Gelu', [gate], { attributes }), linear])
  }
  residual.add(product(context, activated, matrices.plain(`${prefix}.output`)))
}

/** Attention of queries [B, P, H*K] over a memory, without 1/sqrt(K) scaling -> [B, P, H*K]. */
export function attend(
  { graph, config }: LayerContext,
  query: string,
  memory: {
    /** [B, M, H*K] or [B, H, M, K]. */
    readonly key: string
    readonly value: string
    /** int32 [B, M]: 0 where nothing is to be read, else 1. */
    readonly mask: string
    /** [1, H, P, M]; '' for none. */
    readonly bias: string
  },
): string {
  return graph.node('MultiHeadAttention', [query, memory.key, memory.value, '', memory.mask, memory.bias], {
    attributes: { num_heads: config.numHeads, scale: { float: 1 }, mask_filter_value: { float: -1e9 } },
  })
}

/** Position bias of a stack by relative position, [H, to - from + 1] for memory - query from `from` to `to`. */
export function biasByDistance(
  { graph, config, weights }: LayerContext,
  stack: 'encoder' | 'decoder',
  { from, to }: { readonly from: number; readonly to: number },
): string {
  const { numHeads, relativeBuckets, relativeMaxDistance } = config
  const options = {
    numBuckets: relativeBuckets,
    maxDistance: relativeMaxDistance,
    bidirectional: stack === 'encoder',
  }
  return graph.constant(`${stack}.biasByDistance`, () => {
    const table = weights.get(`${stack}.relativeBias`)!.data
    const length = to - from + 1
    const data = new Float32Array(numHeads * length)
    for (let i = 0; i < length; i++) {
      const bucket = relativeBucket(from + i, options)
      for (let head = 0; head < numHeads; head++) {
        data[head * length + i] = table[bucket * numHeads + head]
      }
    }
    return { type: 'float32', shape: [numHeads, length], data }
  })
}
