// What a source is once it is encoded, and what cross-attention reads of it when rows of several sources go together.
import type { HostWeights, ModelConfig } from '../../config/index.js'
import type { ModelGraphs } from './graphs.js'
import type { RuntimeTensor, RuntimeTensors } from './runtime.js'

/**
 * Sources are padded to a multiple of this, the widest vectors of any processor: then padding to a longer one beside it
 * changes no order of summation, and a row of a batch goes bit for bit as it goes alone.
 */
const LENGTH_STEP = 16

/** M for a source: its length with padding. */
export function paddedLength(numTokens: number): number {
  return Math.ceil(numTokens / LENGTH_STEP) * LENGTH_STEP
}

/** One encoded source. */
export interface EncodedSource {
  /** M, padding included. */
  readonly length: number
  /** [M]: 0 at padding, else 1. */
  readonly mask: Int32Array
  /** `cross_key.i` and `cross_value.i` [1, H, M, K] of every decoder layer. */
  readonly memory: RuntimeTensors
}

/** Embeddings [n, D] of tokens, as states. */
export function embedTokens(
  { config, weights }: { readonly config: ModelConfig; readonly weights: HostWeights },
  tokens: ArrayLike<number>,
): Float32Array {
  const { dModel } = config
  const table = weights.get('embedding')!.data
  const states = new Float32Array(tokens.length * dModel)
  for (let i = 0; i < tokens.length; i++) {
    states.set(table.subarray(tokens[i] * dModel, (tokens[i] + 1) * dModel), i * dModel)
  }
  return states
}

/** `mask` and the keys and values of some layers for rows side by side, one source each, padded to the longest. */
export function joinMemories(
  graphs: ModelGraphs,
  sources: readonly EncodedSource[],
  layers: readonly number[],
): RuntimeTensors {
  const { numHeads, dKv } = graphs.config
  const length = Math.max(...sources.map((source) => source.length))
  const mask = new Int32Array(sources.length * length)
  for (const [row, source] of sources.entries()) mask.set(source.mask, row * length)
  const joined: Record<string, RuntimeTensor> = { mask: graphs.tensor(mask, [sources.length, length]) }
  for (const name of layers.flatMap((i) => [`cross_key.${i}`, `cross_value.${i}`])) {
    if (sources.length === 1) {
      joined[name] = sources[0].memory[name]
      continue
    }
    const data = new Float32Array(sources.length * numHeads * length * dKv)
    for (const [row, source] of sources.entries()) {
      const own = source.memory[name].data as Float32Array
      const size = source.length * dKv
      for (let head = 0; head < numHeads; head++) {
        data.set(own.subarray(head * size, (head + 1) * size), (row * numHeads + head) * length * dKv)
      }
    }
    joined[name] = graphs.tensor(data, [sources.length, numHeads, length, dKv])
  }
  return joined
}
