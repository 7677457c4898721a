// Gathers evidence for offline calibration: decodes examples with a `free` that the calibrator steers as it will later, and
// that flushes at every end, so that confidences are those of its own outputs and no position's evidence is lost.
import { calibrate, createCalibrator, type Calibration, type Evidence } from '../calibration/index.js'
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
  const { engine, sources, loop, onExample, signal, calibrator = 'beta-mixture', calibratorOptions } = options
  const evidence: Evidence[] = []
  await decodeAll(engine, sources, {
    ...loop,
    policy: free(createCalibrator(calibrator, calibratorOptions)),
    flushAtEnd: true,
    exactConfidence: true,
    signal,
    onResult: (result, index) => {
      for (const { confidence, agree } of result.evidence) evidence.push({ confidence, agree })
      onExample?.(index + 1, sources.length)
    },
  })
  return calibrate(evidence, {
    shallowLayers: engine.info.shallowLayers,
    confidence: loop?.confidence,
    calibrator,
    options: calibratorOptions,
  })
}
