// `static`: exit always at the same layer. What is deeper never runs.
import { ShallowDeepError } from '../../errors.js'
import type { EngineInfo } from '../engine.js'
import type { Policy } from './policy.js'

/**
 * Every token comes from one exit. `exitLayer` counts decoder layers from 1; default the model's shallow exit.
 * Its `exits` throws `decoding.exit-layer` where the model has no such layer.
 */
export function staticExit(exitLayer?: number): Policy {
  return {
    name: 'static',
    threshold: null,
    exits: (info) => exitsFor(exitLayer ?? info.shallowLayers, info),
    isEarly: true,
    leaves: () => true,
  }
}

function exitsFor(exitLayer: number, { decoderLayers }: EngineInfo): readonly number[] {
  if (!Number.isInteger(exitLayer) || exitLayer < 1 || exitLayer > decoderLayers) {
    throw new ShallowDeepError({
      code: 'decoding.exit-layer',
      message: `exitLayer: expected a decoder layer from 1 to ${decoderLayers}, got ${exitLayer}`,
      details: { exitLayer, decoderLayers },
    })
  }
  return exitLayer === decoderLayers ? [decoderLayers] : [exitLayer, decoderLayers]
}
