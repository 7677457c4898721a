// The parts of a model that a training may leave as they are, and which of them it trains.
import type { ModelConfig } from './model.js'

/** Every weight belongs to exactly one. */
export const WEIGHT_PARTS = [
  'embeddings',
  'encoder',
  'shallow-layers',
  'deep-layers',
  'head',
  'confidence-head',
] as const

/**
 * `embeddings`: the table, which is also the output head of a tied model; `encoder`: all of it; `shallow-layers`: decoder
 * layers 1..S and the decoder's position bias; `deep-layers`: S+1..L; `head`: the decoder's final norm and a head of its own;
 * `confidence-head`: where there is one.
 */
export type WeightPart = (typeof WEIGHT_PARTS)[number]

/** Several parts under one name. */
const GROUPS = {
  trunk: ['embeddings', 'encoder', 'shallow-layers', 'deep-layers'],
  decoder: ['shallow-layers', 'deep-layers'],
} as const satisfies Readonly<Record<string, readonly WeightPart[]>>

/** Names of parts and of groups of them, as options take them. */
export const PART_NAMES = [...WEIGHT_PARTS, 'trunk', 'decoder'] as const satisfies readonly (
  WeightPart | keyof typeof GROUPS
)[]

/** Name of a part or of a group of them. */
export type PartName = (typeof PART_NAMES)[number]

/** The part that a weight belongs to, by our name for it. */
export function partOf(weight: string, { shallowLayers }: Pick<ModelConfig, 'shallowLayers'>): WeightPart {
  if (weight === 'embedding') return 'embeddings'
  if (weight.startsWith('encoder.')) return 'encoder'
  if (weight.startsWith('confidenceHead.')) return 'confidence-head'
  if (weight === 'head' || weight === 'decoder.finalNorm') return 'head'
  const layer = /^decoder\.(\d+)\./.exec(weight)
  return layer && Number(layer[1]) >= shallowLayers ? 'deep-layers' : 'shallow-layers'
}

/** The parts that are trained: those of `train` where it is given, all but those of `freeze` otherwise. */
export function trainedParts(options: {
  readonly train?: readonly PartName[]
  readonly freeze?: readonly PartName[]
}): ReadonlySet<WeightPart> {
  const { train, freeze = [] } = options
  if (train) return expand(train)
  const frozen = expand(freeze)
  return new Set(WEIGHT_PARTS.filter((part) => !frozen.has(part)))
}

function expand(names: readonly PartName[]): Set<WeightPart> {
  return new Set(
    names.flatMap((name): readonly WeightPart[] =>
      name === 'trunk' || name === 'decoder' ? GROUPS[name] : [name],
    ),
  )
}
