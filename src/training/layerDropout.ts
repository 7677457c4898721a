// Layer dropout: whole decoder layers are left out of a training step (LayerDrop, Fan et al. 2020), the more likely the
// deeper they are (LayerSkip, Elhoushi et al. 2024, section 4.1), so that early states learn to stand alone. What is
// left out is left out of both exits. As there, what stays is not scaled up, and validation keeps all layers.
import type { TrainingConfig } from '../config/index.js'
import { Random } from '../random.js'

export type LayerDropoutOptions = Pick<TrainingConfig, 'layerDropout' | 'layerDropoutGrowth'>

/**
 * The rate of each decoder layer, in order. `uniform`: `layerDropout` everywhere; rising ones go from 0 at the first layer
 * to `layerDropout` at the last: `linear` in the layer, or `exponential`, 2^(l / (L - 1)) - 1 for l = 0..L-1.
 */
export function layerDropoutRates(options: LayerDropoutOptions, decoderLayers: number): number[] {
  const { layerDropout, layerDropoutGrowth } = options
  return Array.from({ length: decoderLayers }, (_, l) => {
    const depth = l / (decoderLayers - 1)
    if (layerDropoutGrowth === 'uniform') return layerDropout
    return layerDropout * (layerDropoutGrowth === 'linear' ? depth : 2 ** depth - 1)
  })
}

/** Keeps this sequence apart from those of other purposes under the same seed. */
const PURPOSE = 0x6c61796572

/**
 * The decoder layers, from 1, that a step (counted from 0) leaves out. Depends on (seed, step) alone: all parts of a step
 * leave out the same ones, and a resumed run too.
 */
export function skippedLayers(
  options: LayerDropoutOptions,
  {
    decoderLayers,
    seed,
    step,
  }: { readonly decoderLayers: number; readonly seed: number; readonly step: number },
): ReadonlySet<number> {
  if (options.layerDropout === 0) return new Set()
  const random = new Random(seed).fork(PURPOSE).fork(step)
  const rates = layerDropoutRates(options, decoderLayers)
  return new Set(rates.flatMap((rate, l) => (random.uniform() < rate ? [l + 1] : [])))
}
