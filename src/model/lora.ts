// LoRA (Hu et al. 2022) on the host: fresh factors, and merging them into the matrices that they adapt.
import {
  factorNames,
  weightSpecs,
  type HostWeight,
  type Lora,
  type LoraShape,
  type ModelConfig,
} from '../config/index.js'
import { Random } from '../random.js'

/** Keeps these draws apart from those of other purposes under the same seed. */
const PURPOSE = 0x6c6f7261

/**
 * Fresh factors: A ~ N(0, 1 / r^2), as PEFT's "gaussian", and B = 0, so that the model at first computes what it did.
 * Equal seeds give equal factors.
 */
export function initialLora(config: ModelConfig, shape: LoraShape, seed: number): Lora {
  const random = new Random(seed).fork(PURPOSE)
  const { rank, matrices } = shape
  const factors = new Map<string, HostWeight>()
  for (const {
    name,
    shape: [width, outWidth],
  } of weightSpecs(config)) {
    if (!matrices.includes(name)) continue
    const { a, b } = factorNames(name)
    const data = Float32Array.from({ length: width * rank }, () => random.normal() / rank)
    factors.set(a, { shape: [width, rank], data })
    factors.set(b, { shape: [rank, outWidth], data: new Float32Array(rank * outWidth) })
  }
  return { ...shape, factors }
}

/**
 * The weights of a plain model that computes what the adapted one does: W + alpha / r * A B for the adapted matrices, in
 * new arrays; the other weights are the very same.
 */
export function mergeLora(weights: ReadonlyMap<string, HostWeight>, lora: Lora): Map<string, HostWeight> {
  const merged = new Map(weights)
  for (const name of lora.matrices) {
    const { a, b } = factorNames(name)
    merged.set(
      name,
      addProduct(weights.get(name)!, lora.factors.get(a)!, lora.factors.get(b)!, lora.alpha / lora.rank),
    )
  }
  return merged
}

/** W + scale * A B, summed in float64. */
function addProduct({ shape, data }: HostWeight, a: HostWeight, b: HostWeight, scale: number): HostWeight {
  const [rows, columns] = shape
  const rank = a.shape[1]
  const result = new Float32Array(data.length)
  const row = new Float64Array(columns)
  for (let i = 0; i < rows; i++) {
    row.fill(0)
    for (let r = 0; r < rank; r++) {
      const factor = scale * a.data[i * rank + r]
      for (let j = 0; j < columns; j++) row[j] += factor * b.data[r * columns + j]
    }
    for (let j = 0; j < columns; j++) result[i * columns + j] = data[i * columns + j] + row[j]
  }
  return { shape, data: result }
}
