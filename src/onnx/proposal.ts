// The output head in 8 bits, to propose the few tokens that may be the float32 head's best, with a bound on all others.
// For a head w and a normed state h, and their 8-bit forms w' and h', Cauchy-Schwarz gives
// |w h - w' h'| <= |w - w'| |h| + |w'| |h - h'|.
import { BLOCK_SIZE, transposeWeight } from '../config/index.js'
import type { Chunks } from '../protobuf/index.js'
import { contextOf, exitNorm, type GraphModel } from './graphs.js'
import { multiply } from './product.js'
import { quantiseBlocks, type BlockMatrix } from './quantise.js'

/** Tokens that are proposed. */
export const NUM_PROPOSED = 16

/**
 * `states` [N, D] -> `tokens` int64 [N, 16], those whose logits may be largest, and `upper` [N, 16], falling, what their
 * logits are at most; all others' are at most the last of these. `spread` [N, 2] says of each normed state its length, and
 * how far its 8-bit form is from it at most.
 */
export function proposalGraph(model: GraphModel): Chunks {
  const { graph, config, matrices } = contextOf(model)
  const { dModel, vocabSize } = config
  const states = graph.input({ name: 'states', type: 'float32', shape: ['N', dModel] })
  const spread = graph.input({ name: 'spread', type: 'float32', shape: ['N', 2] })
  graph.output({ name: 'upper', type: 'float32', shape: ['N', NUM_PROPOSED] })
  graph.output({ name: 'tokens', type: 'int64', shape: ['N', NUM_PROPOSED] })
  const norm = graph.constant('exit.norm', () => exitNorm(model))
  const attributes = { axis: -1, epsilon: { float: config.layerNormEpsilon } }
  const normed = graph.node('RMSNormalization', [states, norm], { attributes })
  const { tieEmbeddings } = config
  const weight = matrices.plain(tieEmbeddings ? 'embedding' : 'head').make()
  const matrix = tieEmbeddings ? transposeWeight(weight) : weight
  const estimates = multiply(graph, normed, { name: 'head', make: () => matrix }, { precision: 'int8' })
  const bounds = graph.constant('head.bounds', () => ({
    type: 'float32',
    shape: [2, vocabSize],
    data: columnBounds(matrix.data, quantiseBlocks(matrix, 8)),
  }))
  const upper = graph.node('Add', [estimates, graph.node('MatMul', [spread, bounds])])
  graph.nodes('TopK', [upper, graph.integers([NUM_PROPOSED])], { outputs: ['upper', 'tokens'] })
  return graph.finish('proposal')
}

/** [2, out]: for each column of a matrix [in, out] the length of its 8-bit form's error, then of that form. */
function columnBounds(
  data: Float32Array,
  { numInputs, numOutputs, packed, scales }: BlockMatrix,
): Float32Array {
  const bounds = new Float32Array(2 * numOutputs)
  const numBlocks = scales.length / numOutputs
  for (let output = 0; output < numOutputs; output++) {
    let [error, size] = [0, 0]
    for (let input = 0; input < numInputs; input++) {
      const block = output * numBlocks + Math.floor(input / BLOCK_SIZE)
      const value = (packed[output * numBlocks * BLOCK_SIZE + input] - 128) * scales[block]
      error += (value - data[input * numOutputs + output]) ** 2
      size += value ** 2
    }
    bounds[output] = Math.sqrt(error)
    bounds[numOutputs + output] = Math.sqrt(size)
  }
  // Of a matrix that holds NaN nothing is ever proven: its products must be seen.
  return bounds.some(Number.isNaN) ? bounds.fill(Infinity) : bounds
}
