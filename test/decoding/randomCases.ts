// Random small models and decoding problems for the laws, drawn by fast-check: every kind of T5, exits that agree often
// but not always, confidences all over [0, 1], and sequences that end early.
import fc from 'fast-check'
import { parseModelConfig, weightSpecs } from '../../src/config/index.js'
import type { ModelConfig } from '../../src/config/index.js'
import type { HostWeight, HostWeights } from '../../src/model/index.js'
import { Random } from '../../src/random.js'

/** A model and how to decode with it. */
export interface LawCase {
  readonly config: ModelConfig
  readonly seed: number
  /** How much the layers after the shallow exit change the state. */
  readonly deepGain: number
  /** Scale of the end of sequence's logit. */
  readonly eosGain: number
  /** Token ids of each row, without padding. */
  readonly sources: readonly (readonly number[])[]
  /** One a row. */
  readonly thresholds: readonly number[]
  readonly maxPending: number | null
  readonly maxNewTokens: number
}

const configs: fc.Arbitrary<ModelConfig> = fc
  .record({
    vocabSize: fc.integer({ min: 20, max: 90 }),
    dModel: fc.constantFrom(16, 24, 32),
    numHeads: fc.integer({ min: 1, max: 4 }),
    dKv: fc.integer({ min: 4, max: 9 }),
    dFf: fc.constantFrom(16, 24, 40),
    encoderLayers: fc.integer({ min: 1, max: 2 }),
    decoderLayers: fc.integer({ min: 2, max: 4 }),
    feedForward: fc.constantFrom('relu', 'gated-gelu'),
    tieEmbeddings: fc.boolean(),
    scaleLogits: fc.boolean(),
    relativeBuckets: fc.constantFrom(4, 8, 32),
    relativeMaxDistance: fc.constantFrom(20, 128),
    decoderStartId: fc.constantFrom(0, 2),
  })
  .chain((shape) =>
    fc
      .integer({ min: 1, max: shape.decoderLayers - 1 })
      .map((shallowLayers) => parseModelConfig({ ...shape, shallowLayers }, 'random model')),
  )

/** Decoding problems of `minRows` to `maxRows` rows. */
export function lawCases({ minRows = 1, maxRows = 1 } = {}): fc.Arbitrary<LawCase> {
  return configs.chain((config) => {
    const token = fc.integer({ min: 3, max: config.vocabSize - 1 })
    const source = fc.array(token, { maxLength: 6 }).map((tokens) => [...tokens, config.eosId])
    const threshold = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true }))
    return fc.record({
      config: fc.constant(config),
      seed: fc.nat(),
      deepGain: fc.constantFrom(0.1, 0.25, 0.5, 1),
      eosGain: fc.constantFrom(1, 1.5, 2),
      sources: fc.array(source, { minLength: minRows, maxLength: maxRows }),
      thresholds: fc.array(threshold, { minLength: maxRows, maxLength: maxRows }),
      maxPending: fc.option(fc.integer({ min: 0, max: 5 })),
      maxNewTokens: fc.integer({ min: 1, max: 12 }),
    })
  })
}

/** The weights of a case, a pure function of it. */
export function weightsOf({ config, seed, deepGain, eosGain }: LawCase): HostWeights {
  const random = new Random(seed)
  const weights = new Map<string, HostWeight>()
  for (const { name, shape } of weightSpecs(config)) {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1))
    const draw = /norm$/i.test(name)
      ? () => 0.6 + 0.8 * random.uniform()
      : (
          (deviation: number) => () =>
            deviation * random.normal()
        )(deviationOf(name, config, deepGain))
    for (let i = 0; i < data.length; i++) data[i] = draw()
    weights.set(name, { shape, data })
  }
  if (config.feedForward === 'relu') pairUnits(config, weights)
  const { dModel, vocabSize, eosId, tieEmbeddings } = config
  for (let d = 0; d < dModel; d++) {
    if (tieEmbeddings) weights.get('embedding')!.data[eosId * dModel + d] *= eosGain
    else weights.get('head')!.data[d * vocabSize + eosId] *= eosGain
  }
  return weights
}

function deviationOf(name: string, config: ModelConfig, deepGain: number): number {
  const { dModel, dKv, dFf, numHeads, shallowLayers, tieEmbeddings, scaleLogits } = config
  const layer = Number(/^decoder\.(\d+)\./.exec(name)?.[1] ?? -1)
  // A tied head would repeat the newest token if the layers did not outweigh its embedding.
  const gain = (layer >= shallowLayers ? deepGain : 1) * (tieEmbeddings ? 3 : 1)
  // Logits of a few units, so that confidences spread over [0, 1].
  const logitGain = 2.5 / (scaleLogits ? 1 : Math.sqrt(dModel))
  if (name === 'embedding') return tieEmbeddings ? logitGain : 1
  if (name === 'head') return logitGain
  const inner = numHeads * dKv
  if (name.endsWith('relativeBias')) return 2
  if (name.endsWith('feedForward.output')) return (gain * 4) / Math.sqrt(dFf)
  if (name.endsWith('.output')) return (gain * 2) / Math.sqrt(inner)
  return (name.endsWith('.query') ? 1.6 / Math.sqrt(dKv) : 1.3) / Math.sqrt(dModel)
}

/** ReLU units in opposite pairs: else their mean is one constant vector, and every position chooses the same token. */
function pairUnits({ dModel, dFf, decoderLayers }: ModelConfig, weights: HostWeights): void {
  for (let layer = 0; layer < decoderLayers; layer++) {
    const input = weights.get(`decoder.${layer}.feedForward.input`)!.data
    const output = weights.get(`decoder.${layer}.feedForward.output`)!.data
    for (let unit = 1; unit < dFf; unit += 2) {
      for (let d = 0; d < dModel; d++) {
        input[d * dFf + unit] = -input[d * dFf + unit - 1]
        output[unit * dModel + d] = 0.15 * output[unit * dModel + d] - output[(unit - 1) * dModel + d]
      }
    }
  }
}
