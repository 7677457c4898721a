// T5's initialisation from scratch (T5PreTrainedModel._init_weights with factor 1), seeded.
import { type ModelConfig, weightSpecs } from '../config/index.js'
import { Random } from '../random.js'
import type { HostWeight } from './build.js'

/** Freshly drawn weights by our names; equal seeds give equal weights. */
export function initialWeights(config: ModelConfig, seed: number): Map<string, HostWeight> {
  const random = new Random(seed)
  const weights = new Map<string, HostWeight>()
  for (const { name, shape } of weightSpecs(config)) {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1))
    const deviation = standardDeviation(name, config)
    if (deviation === null) data.fill(1)
    else if (deviation === 0) data.fill(0)
    else for (let i = 0; i < data.length; i++) data[i] = deviation * random.normal()
    weights.set(name, { shape, data })
  }
  return weights
}

/** Weights with a fresh confidence head, where the configuration has one and they do not. */
export function withConfidenceHead(
  weights: ReadonlyMap<string, HostWeight>,
  config: ModelConfig,
): ReadonlyMap<string, HostWeight> {
  const missing = weightSpecs(config).filter(
    ({ name }) => name.startsWith('confidenceHead.') && !weights.has(name),
  )
  return new Map([
    ...weights,
    ...missing.map(({ name, shape }): [string, HostWeight] => [
      name,
      { shape, data: new Float32Array(shape.reduce((a, b) => a * b)) },
    ]),
  ])
}

/** The standard deviation that T5 draws a weight with; null for norms, which start at one; 0 for a head of our own. */
function standardDeviation(name: string, config: ModelConfig): number | null {
  const { dModel, dKv, dFf, numHeads } = config
  if (/[nN]orm$/.test(name)) return null
  // A linear classifier has one minimum: it may start undecided.
  if (name.startsWith('confidenceHead.')) return 0
  if (name === 'embedding' || name === 'head') return 1
  if (name.endsWith('relativeBias')) return dModel ** -0.5
  if (name.endsWith('feedForward.output')) return dFf ** -0.5
  if (name.includes('feedForward')) return dModel ** -0.5
  // Queries carry the 1/sqrt(K) that T5's attention leaves out.
  if (name.endsWith('.query')) return (dModel * dKv) ** -0.5
  if (name.endsWith('.output')) return (numHeads * dKv) ** -0.5
  return dModel ** -0.5
}
