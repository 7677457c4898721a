// Gathers evidence for offline calibration: decodes examples with an adapting `free` that flushes at every end, so that
// the confidences are those of its own outputs and no position's evidence is lost.
import { betaMixture, calibrate, type Calibration, type Evidence } from '../calibration/index.js'
import type { LoopOptionsInput } from '../config/index.js'
import { decodeAll, free, type DecoderEngine } from '../decoding/index.js'

export interface CalibrateOnOptions {
  readonly engine: DecoderEngine
  /** Token ids of each source, with the end of sequence. */
  readonly sources: readonly ArrayLike<number>[]
  /** Name of the calibrator; neutral: `beta-mixture`. */
  readonly calibrator?: string
  readonly calibratorOptions?: Readonly<Record<string, unknown>>
  readonly loop?: LoopOptionsInput
  readonly onExample?: (numDone: number, numExamples: number) => void
  readonly signal?: AbortSignal
}

/** Decodes the sources and fits a calibrator to all their evidence: what is saved as `calibration.json`. */
export async function calibrateOn(options: CalibrateOnOptions): Promise<Calibration> {
  const { engine, sources, loop, onExample, signal } = options
  const evidence: Evidence[] = []
  await decodeAll(engine, sources, {
    ...loop,
    policy: free(betaMixture()),
    flushAtEnd: true,
    signal,
    onResult: (result, index) => {
      for (const { confidence, agree } of result.evidence) evidence.push({ confidence, agree })
      onExample?.(index + 1, sources.length)
    },
  })
  return calibrate(evidence, {
    shallowLayers: engine.info.shallowLayers,
    confidence: loop?.confidence,
    calibrator: options.calibrator,
    options: options.calibratorOptions,
  })
}
