// States times a matrix, in the precision of choice: the only place where graphs of different precision differ.
import type { HostWeight } from '../config/index.js'
import { ELEMENT_TYPES, type GraphBuilder, type NodeOptions } from './graph.js'
import { BLOCK_SIZE, quantiseBlocks, quantiseColumns } from './quantise.js'

/**
 * How a matrix is stored and multiplied. `int8`: 8 bits with a scale for each output, states in 8 bits with a scale for
 * each position; `q8` and `q4`: 8 or 4 bits with a scale for each block, states likewise in 8 bits. All of them take
 * each position by itself, so that a position's result does not depend on what is beside it.
 */
export type Precision = 'float32' | 'int8' | 'q8' | 'q4'

/** A matrix [in, out] that is made when it is needed. */
export interface NamedMatrix {
  readonly name: string
  readonly make: () => HostWeight
}

export interface ProductOptions {
  readonly precision: Precision
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
  const { operator, inputs, attributes } = productNode(graph, states, matrix, precision)
  return graph.node(operator, inputs, { attributes, ...(output !== undefined && { outputs: [output] }) })
}

/** A weight as it is. */
export function floatConstant(graph: GraphBuilder, { name, make }: NamedMatrix): string {
  return graph.constant(name, () => {
    const { shape, data } = make()
    return { type: 'float32', shape, data }
  })
}

/** The node that has the result; those before it are in the graph already. */
interface ProductNode {
  readonly operator: string
  readonly inputs: readonly string[]
  readonly attributes?: NodeOptions['attributes']
}

function productNode(
  graph: GraphBuilder,
  states: string,
  matrix: NamedMatrix,
  precision: Precision,
): ProductNode {
  if (precision === 'float32') return { operator: 'MatMul', inputs: [states, floatConstant(graph, matrix)] }
  if (precision === 'int8') return integerProduct(graph, states, matrix)
  return blockProduct(graph, states, matrix, precision === 'q4' ? 4 : 8)
}

function blockProduct(
  graph: GraphBuilder,
  states: string,
  { name, make }: NamedMatrix,
  bits: 4 | 8,
): ProductNode {
  const { numInputs, numOutputs, packed, scales } = quantiseBlocks(make(), bits)
  const numBlocks = scales.length / numOutputs
  const shape = [numOutputs, numBlocks, packed.length / scales.length]
  const blocks = graph.constant(`${name}.q${bits}`, () => ({ type: 'uint8', shape, data: packed }))
  const blockScales = graph.constant(`${name}.scales`, () => ({
    type: 'float32',
    shape: [numOutputs, numBlocks],
    data: scales,
  }))
  return {
    operator: 'MatMulNBits',
    inputs: [states, blocks, blockScales],
    // Accuracy level 4: states in 8 bits, by blocks of each position.
    attributes: { K: numInputs, N: numOutputs, bits, block_size: BLOCK_SIZE, accuracy_level: 4 },
  }
}

function integerProduct(graph: GraphBuilder, states: string, { name, make }: NamedMatrix): ProductNode {
  const matrix = make()
  const { levels, scales } = quantiseColumns(matrix)
  const largest = graph.node('ReduceMax', [graph.node('Abs', [states]), graph.integers([-1])]) // [..., 1]
  // A position of zeros has any scale.
  const scale = graph.node('Max', [graph.node('Mul', [largest, graph.float(1 / 127)]), graph.float(1e-30)])
  const rounded = graph.node('Round', [graph.node('Div', [states, scale])])
  const product = graph.node('MatMulIntegerToFloat', [
    graph.node('Cast', [rounded], { attributes: { to: ELEMENT_TYPES.int8 } }),
    graph.constant(`${name}.int8`, () => ({ type: 'int8', shape: matrix.shape, data: levels })),
    graph.float(1),
    graph.constant(`${name}.scales`, () => ({ type: 'float32', shape: [scales.length], data: scales })),
  ])
  return { operator: 'Mul', inputs: [product, scale] }
}
