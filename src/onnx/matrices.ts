// A model's weights as the graphs take them: matrices that read the same states side by side, and heads widened to what
// the attention kernels take.
import { joinColumns, type HostWeight, type HostWeights, type ModelConfig } from '../config/index.js'
import type { NamedMatrix } from './product.js'

/** GroupQueryAttention takes heads whose width is a multiple of this. */
const HEAD_STEP = 8

/** Width of a head in the decoder's self-attention and its caches: K, or the next multiple of 8; the rest is zero. */
export function cachedHeadWidth({ dKv }: Pick<ModelConfig, 'dKv'>): number {
  return Math.ceil(dKv / HEAD_STEP) * HEAD_STEP
}

/** Weights by name, alone and joined. */
export class Matrices {
  constructor(
    private readonly config: ModelConfig,
    private readonly weights: HostWeights,
  ) {}

  /** One weight as it is. */
  plain(name: string): NamedMatrix {
    return { name, make: () => this.weights.get(name)! }
  }

  /** The matrices `prefix.part`, side by side. */
  joined(prefix: string, parts: readonly string[]): NamedMatrix {
    return {
      name: `${prefix}.${parts.join('_')}`,
      make: () => joinColumns(parts.map((part) => this.weights.get(`${prefix}.${part}`)!)),
    }
  }

  /** Query, key and value of a decoder layer's self-attention, [D, 3 * H * {@link cachedHeadWidth}]. */
  selfQueryKeyValue(prefix: string): NamedMatrix {
    const parts = ['query', 'key', 'value']
    const { make, name } = this.joined(prefix, parts)
    return { name, make: () => this.widenColumns(make()) }
  }

  /** The output of a decoder layer's self-attention, [H * {@link cachedHeadWidth}, D]. */
  selfOutput(prefix: string): NamedMatrix {
    const { name, make } = this.plain(`${prefix}.output`)
    return { name, make: () => this.widenRows(make()) }
  }

  /** Zero columns after each head's own. */
  private widenColumns(matrix: HostWeight): HostWeight {
    const { dKv } = this.config
    const width = cachedHeadWidth(this.config)
    if (width === dKv) return matrix
    const [numRows, numColumns] = matrix.shape
    const wide = (numColumns / dKv) * width
    const data = new Float32Array(numRows * wide)
    for (let from = 0, to = 0; from < matrix.data.length; from += dKv, to += width) {
      data.set(matrix.data.subarray(from, from + dKv), to)
    }
    return { shape: [numRows, wide], data }
  }

  /** Zero rows after each head's own. */
  private widenRows(matrix: HostWeight): HostWeight {
    const { dKv } = this.config
    const width = cachedHeadWidth(this.config)
    if (width === dKv) return matrix
    const [numRows, numColumns] = matrix.shape
    const wide = (numRows / dKv) * width
    const data = new Float32Array(wide * numColumns)
    for (let head = 0; head < numRows / dKv; head++) {
      const from = head * dKv * numColumns
      data.set(matrix.data.subarray(from, from + dKv * numColumns), head * width * numColumns)
    }
    return { shape: [wide, numColumns], data }
  }
}
