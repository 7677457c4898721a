// Which exits a training weighs, and how.
import type { TrainingConfig } from '../config/index.js'

/** How cross-entropies are weighted: by layer index (the paper's), equally, or the shallow and the deep one as given. */
export type ExitWeighting = TrainingConfig['exitWeighting']

/** An exit whose cross-entropy is trained. */
export interface TrainedExit {
  /** The decoder layer after which it comes, from 1. */
  readonly layer: number
  readonly weight: number
}

interface Layers {
  readonly shallowLayers: number
  readonly decoderLayers: number
}

/** The two exits of the joint loss, shallow first. By layer index: S and L over S + L. */
export function jointExits(
  weighting: ExitWeighting,
  { shallowLayers, decoderLayers }: Layers,
): TrainedExit[] {
  const layers = [shallowLayers, decoderLayers]
  return typeof weighting === 'string'
    ? weigh(layers, weighting)
    : layers.map((layer, i) => ({ layer, weight: weighting[i] }))
}

/** An exit after every layer (CALM, Schuster et al. 2022, section 3.2). By layer index: i over 1 + ... + L. */
export function calmExits(weighting: 'layer-index' | 'equal', { decoderLayers }: Layers): TrainedExit[] {
  return weigh(
    Array.from({ length: decoderLayers }, (_, i) => i + 1),
    weighting,
  )
}

function weigh(layers: readonly number[], weighting: 'layer-index' | 'equal'): TrainedExit[] {
  const share = (layer: number) => (weighting === 'equal' ? 1 : layer)
  const sum = layers.reduce((total, layer) => total + share(layer), 0)
  return layers.map((layer) => ({ layer, weight: share(layer) / sum }))
}
