// Models to measure: shapes that people know, with weights drawn at random. The time of a step does not depend on what the
// weights are, only on how many there are.
import { parseModelConfig, weightSpecs, type ModelConfig } from '../../src/config/index.js'

const VOCABULARY = 32128

const shapes = {
  // The shape of the shipped checkpoint.
  tiny: {
    ...{ vocabSize: 5000, dModel: 192, numHeads: 6, dKv: 32, dFf: 448 },
    ...{ encoderLayers: 4, decoderLayers: 12, shallowLayers: 2 },
  },
  't5-small': {
    ...{ vocabSize: VOCABULARY, dModel: 512, numHeads: 8, dKv: 64, dFf: 2048 },
    ...{ encoderLayers: 6, decoderLayers: 6, shallowLayers: 2 },
  },
  't5-base': {
    ...{ vocabSize: VOCABULARY, dModel: 768, numHeads: 12, dKv: 64, dFf: 3072 },
    ...{ encoderLayers: 12, decoderLayers: 12, shallowLayers: 3 },
  },
  // T5-small's width with the depth of T5-large's decoder: where early exits have most to save.
  'deep-24': {
    ...{ vocabSize: VOCABULARY, dModel: 512, numHeads: 8, dKv: 64, dFf: 2048 },
    ...{ encoderLayers: 6, decoderLayers: 24, shallowLayers: 4 },
  },
} as const

export const SHAPE_NAMES = [
  'tiny',
  't5-small',
  't5-base',
  'deep-24',
] as const satisfies (keyof typeof shapes)[]

export type ShapeName = (typeof SHAPE_NAMES)[number]

/**
 * A shape's configuration, by default with its own shallow exit. Throws `config.invalid-value` where the model has no layer
 * after the one that is asked for.
 */
export function shapeConfig(name: ShapeName, shallowLayers?: number): ModelConfig {
  return parseModelConfig({ ...shapes[name], ...(shallowLayers && { shallowLayers }) }, `shape ${name}`)
}

/** Bytes of all weights in float32. */
export function weightBytes(config: ModelConfig): number {
  return weightSpecs(config).reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0)
}
