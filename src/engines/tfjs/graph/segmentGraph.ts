// A decoder segment as a TensorFlow graph: the arithmetic of model/functions.ts, for one group of rows in step. B rows with
// P new positions each, N = B * P, T positions with the new ones, M source positions, D model width, H heads, K head width.
import type { LayerShape } from '../../../model/index.js'
import type { Chunks } from '../../../protobuf/index.js'
import type { PackedChoice } from '../segmentExit.js'
import { GraphBuilder, type ElementType } from './graphDef.js'

/** Everything about a segment that its graph depends on; its weights are fed. */
export interface SegmentGraphShape extends LayerShape {
  readonly numLayers: number
  readonly dModel: number
  readonly headWidth: number
}

/** What a layer is fed, beside its weights: caches and memory [B, H, T - P, K] and [1 or B, H, M, K]. */
export const LAYER_STATES = ['pastKey', 'pastValue', 'memoryKey', 'memoryValue'] as const
/** Weights of a layer, as `EngineWeights` has them. */
export const LAYER_WEIGHTS = ['selfIn', 'selfOut', 'crossIn', 'crossOut', 'feedIn', 'feedOut'] as const

export type LayerWeightName = (typeof LAYER_WEIGHTS)[number]

/** The name of a layer's input or output, layers counted from 0 in the segment. */
export function ofLayer(
  layer: number,
  part: (typeof LAYER_STATES)[number] | LayerWeightName | 'presentKey' | 'presentValue',
): string {
  return `${part}${layer}`
}

/**
 * Inputs: `hidden` [N, D]; `biasBlock` [1, H, .., ..], whose lower right corner [1, H, P, T] is the position bias;
 * `memoryBias`, broadcast to [B, H, P, M]; `head` [D, V]; of each layer {@link LAYER_STATES}, which tell B as well, and
 * {@link LAYER_WEIGHTS}; `positions`, rows of the states. Outputs: `states` [N, D]; `logits` [N, V] and the choices of
 * `PackedChoice`, and {@link atSome} the same of `positions` alone, for which nothing is computed, and neither head nor
 * positions need be fed, unless they are asked for; of each layer `presentKey` and `presentValue` [B, H, T, K].
 */
export function segmentGraph(shape: SegmentGraphShape): Chunks {
  const graph = new Graph(shape)
  let hidden = graph.input('hidden')
  const memoryBias = graph.input('memoryBias')
  const states = Array.from({ length: shape.numLayers }, (_, i) =>
    Object.fromEntries(LAYER_STATES.map((part) => [part, graph.input(ofLayer(i, part))])),
  )
  const batch = graph.sizes(states[0].pastKey, 0)
  const numPositions = graph.divide(graph.sizes(hidden, 0), batch)
  const length = graph.add(graph.sizes(states[0].pastKey, 2), numPositions, 'int32')
  const selfBias = graph.corner(graph.input('biasBlock'), [numPositions, length])
  for (let i = 0; i < shape.numLayers; i++) {
    const state = states[i]
    const weight = Object.fromEntries(LAYER_WEIGHTS.map((part) => [part, graph.input(ofLayer(i, part))]))
    // Queries, keys and values lie beside each other, as heads after heads.
    const projected = graph.splitHeads(graph.product(graph.norm(hidden), weight.selfIn), {
      batch,
      numHeads: 3 * shape.numHeads,
    })
    const [query, ...added] = graph.parts(projected, 3)
    const [key, value] = (['Key', 'Value'] as const).map((part, j) =>
      graph.append(state[`past${part}`], added[j], ofLayer(i, `present${part}`)),
    )
    const own = graph.attend(query, { key, value, bias: selfBias })
    hidden = graph.add(hidden, graph.product(graph.mergeHeads(own), weight.selfOut))
    const asked = graph.splitHeads(graph.product(graph.norm(hidden), weight.crossIn), {
      batch,
      numHeads: shape.numHeads,
    })
    const memory = { key: state.memoryKey, value: state.memoryValue, bias: memoryBias }
    const read = graph.mergeHeads(graph.attend(asked, memory))
    hidden = graph.add(hidden, graph.product(read, weight.crossOut))
    const inner = graph.activate(graph.product(graph.norm(hidden), weight.feedIn))
    hidden = graph.add(hidden, graph.product(inner, weight.feedOut))
  }
  graph.name(hidden, 'states')
  const head = graph.input('head')
  graph.exit(hidden, head, (output) => output)
  graph.exit(graph.gather(hidden, graph.input('positions', 'int32')), head, atSome)
  return graph.finish()
}

/** What an exit can be asked for. */
export type ExitOutput = 'logits' | PackedChoice

/** The output's name where the exit is asked for some positions only. */
export function atSome(output: ExitOutput): string {
  return `${output}AtSome`
}

const T = { T: { type: 'float32' } } as const
const INT = { T: { type: 'int32' } } as const
const BY_HEAD = [0, 2, 1, 3]

/** The operations of a layer; each returns the name of its result. */
class Graph {
  private readonly builder = new GraphBuilder()

  constructor(private readonly shape: SegmentGraphShape) {}

  input(name: string, type: ElementType = 'float32'): string {
    return this.builder.input(name, type)
  }

  /** Gives a value a name of its own. */
  name(x: string, name: string): void {
    this.builder.node('Identity', [x], { name, attributes: T })
  }

  finish(): Chunks {
    return this.builder.finish()
  }

  add(x: string, y: string, type: ElementType = 'float32'): string {
    return this.builder.node('AddV2', [x, y], { attributes: { T: { type } } })
  }

  /** x / sqrt(sum(x^2) + D * epsilon) of each row: see `lengthNorm`. */
  norm(x: string): string {
    const { builder } = this
    const sum = builder.node('Sum', [this.unary('Square', x), builder.integers([1])], {
      attributes: { ...T, Tidx: { type: 'int32' }, keep_dims: { boolean: true } },
    })
    const { dModel, epsilon } = this.shape
    return this.multiply(x, this.unary('Rsqrt', this.add(sum, builder.float(dModel * epsilon))))
  }

  /**
   * Matrix product of the last two axes. TensorFlow's passes replace MatMul and the earlier batched products by oneDNN's,
   * which read a matrix for a single row at two thirds of the speed; this one they leave alone.
   */
  product(x: string, y: string, isTransposed = false): string {
    const type = { type: 'float32' } as const
    return this.builder.node('BatchMatMulV3', [x, y], {
      attributes: {
        Ta: type,
        Tb: type,
        Tout: type,
        adj_x: { boolean: false },
        adj_y: { boolean: isTransposed },
      },
    })
  }

  /** The size of an axis, as a vector; of several, from that one on. */
  sizes(x: string, axis: number, count = 1): string {
    const { builder } = this
    const all = builder.node('Shape', [x], { attributes: { ...T, out_type: { type: 'int32' } } })
    return builder.node('Slice', [all, builder.integers([axis]), builder.integers([count])], {
      attributes: { T: { type: 'int32' }, Index: { type: 'int32' } },
    })
  }

  /** Of two vectors of whole numbers. */
  divide(x: string, y: string): string {
    return this.builder.node('FloorDiv', [x, y], { attributes: INT })
  }

  /** The last rows and columns of [1, H, .., ..], as many as two vectors of one say. */
  corner(block: string, [rows, columns]: readonly [string, string]): string {
    const { builder } = this
    const extent = this.concat([rows, columns], 0, INT)
    const start = builder.node('Sub', [this.sizes(block, 2, 2), extent], { attributes: INT })
    const begin = this.concat([builder.integers([0, 0]), start], 0, INT)
    const size = this.concat([builder.integers([-1, -1]), extent], 0, INT)
    return builder.node('Slice', [block, begin, size], { attributes: { ...T, Index: { type: 'int32' } } })
  }

  /** Rows of a matrix. */
  gather(x: string, rows: string): string {
    const { builder } = this
    const attributes = {
      Tparams: { type: 'float32' },
      Tindices: { type: 'int32' },
      Taxis: { type: 'int32' },
    } as const
    return builder.node('GatherV2', [x, rows, builder.integers(0)], { attributes })
  }

  /** Logits of states and the answers of `PackedChoice`, under their names: see `chooseInGraph`. */
  exit(states: string, head: string, name: (output: ExitOutput) => string): void {
    const { builder } = this
    const logits = this.product(this.norm(states), head)
    this.name(logits, name('logits'))
    builder.node('ArgMax', [logits, builder.integers(1)], {
      name: name('token'),
      attributes: { ...T, Tidx: { type: 'int32' }, output_type: { type: 'int32' } },
    })
    const best = builder.node('TopKV2', [logits, builder.integers(2)], { attributes: T })
    const tokens = builder.node('Cast', [`${best}:1`], {
      attributes: { SrcT: { type: 'int32' }, DstT: { type: 'float32' } },
    })
    const most = builder.node('Max', [this.unary('Softmax', logits), builder.integers([1])], {
      attributes: { ...T, Tidx: { type: 'int32' }, keep_dims: { boolean: true } },
    })
    this.concat([tokens, best, most], 1, T, name('probabilities'))
  }

  /** [N, heads * K] -> [B, heads, P, K]. */
  splitHeads(x: string, { batch, numHeads }: { readonly batch: string; readonly numHeads: number }): string {
    const others = this.builder.integers([-1, numHeads, this.shape.headWidth])
    const sizes = this.concat([batch, others], 0, INT)
    return this.byHead(this.reshape(x, sizes))
  }

  /** [B, H, P, K] -> [N, H * K]. */
  mergeHeads(x: string): string {
    const { numHeads, headWidth } = this.shape
    return this.reshape(this.byHead(x), this.builder.integers([-1, numHeads * headWidth]))
  }

  /** Equal parts along the second axis. */
  parts(x: string, count: number): string[] {
    const first = this.builder.node('Split', [this.builder.integers(1), x], {
      attributes: { ...T, num_split: { integer: count } },
    })
    return Array.from({ length: count }, (_, i) => (i === 0 ? first : `${first}:${i}`))
  }

  /** Along the positions of [B, H, T, K]. */
  append(past: string, added: string, name: string): string {
    return this.concat([past, added], 2, T, name)
  }

  /** Attention without 1/sqrt(K) scaling: [B, H, P, K] over a memory -> [B, H, P, K]. */
  attend(
    query: string,
    { key, value, bias }: { readonly key: string; readonly value: string; readonly bias: string },
  ): string {
    const scores = this.add(this.product(query, key, true), bias)
    return this.product(this.unary('Softmax', scores), value)
  }

  /** ReLU (v1.0), or gated GELU in its tanh form (v1.1). */
  activate(x: string): string {
    if (!this.shape.gated) return this.unary('Relu', x)
    const [gate, linear] = this.parts(x, 2)
    const { builder } = this
    const cubic = this.multiply(this.multiply(this.unary('Square', gate), gate), builder.float(0.044715))
    const inner = this.multiply(this.add(gate, cubic), builder.float(Math.sqrt(2 / Math.PI)))
    const opened = this.add(this.unary('Tanh', inner), builder.float(1))
    return this.multiply(this.multiply(this.multiply(gate, builder.float(0.5)), opened), linear)
  }

  private concat(parts: readonly string[], axis: number, type: typeof T | typeof INT, name?: string): string {
    return this.builder.node('ConcatV2', [...parts, this.builder.integers(axis)], {
      name,
      attributes: { ...type, N: { integer: parts.length }, Tidx: { type: 'int32' } },
    })
  }

  private multiply(x: string, y: string): string {
    return this.builder.node('Mul', [x, y], { attributes: T })
  }

  private unary(operator: string, x: string): string {
    return this.builder.node(operator, [x], { attributes: T })
  }

  private reshape(x: string, shape: string): string {
    return this.builder.node('Reshape', [x, shape], { attributes: { ...T, Tshape: { type: 'int32' } } })
  }

  private byHead(x: string): string {
    return this.builder.node('Transpose', [x, this.builder.integers(BY_HEAD)], {
      attributes: { ...T, Tperm: { type: 'int32' } },
    })
  }
}
