// States times a matrix, in the precision of choice: the only place where graphs of different precision differ.
import { BLOCK_SIZE, type EngineDtype, type HostWeight } from '../config/index.js'
import type { GraphBuilder } from './graph.js'
import { quantiseBlocks } from './quantise.js'

/** A matrix [in, out] that is made when it is needed. */
export interface NamedMatrix {
  readonly name: string
  readonly make: () => HostWeight
}

export interface ProductOptions {
  /**
   * How the matrix is stored and multiplied. `int8` and `q4`: 8 or 4 bits with a scale for each block of a column, states
   * in 8 bits with a scale for each block of a position. Each position is taken by itself, so that its result does not
   * depend on what is beside it, which one scale for all states would make it do.
   */
  readonly precision: EngineDtype
  /** Name of the result. Neutral: one of the graph's. */
  readonly output?: string
}

/** `states` [..., in] times a matrix -> [..., out]. */
export function multiply(
  graph: GraphBuilder,
  states: string,
  matrix: NamedMatrix,
  { precision, output }: ProductOptions,
): string {
  const outputs = output === undefined ? undefined : [output]
  if (precision === 'float32') {
    return graph.node('MatMul', [states, floatConstant(graph, matrix)], { outputs })
  }
  const bits = precision === 'q4' ? 4 : 8
  const { numInputs, numOutputs, packed, scales } = quantiseBlocks(matrix.make(), bits)
  const numBlocks = scales.length / numOutputs
  const blocks = graph.constant(`${matrix.name}.blocks`, () => ({
    type: 'uint8',
    shape: [numOutputs, numBlocks, packed.length / scales.length],
    data: packed,
  }))
  const blockScales = graph.constant(`${matrix.name}.scales`, () => ({
    type: 'float32',
    shape: [numOutputs, numBlocks],
    data: scales,
  }))
  return graph.node('MatMulNBits', [states, blocks, blockScales], {
    // Accuracy level 4: states in 8 bits.
    attributes: { K: numInputs, N: numOutputs, bits, block_size: BLOCK_SIZE, accuracy_level: 4 },
    outputs,
  })
}

/** A weight as it is. */
export function floatConstant(graph: GraphBuilder, { name, make }: NamedMatrix): string {
  return graph.constant(name, () => {
    const { shape, data } = make()
    return { type: 'float32', shape, data }
  })
}
