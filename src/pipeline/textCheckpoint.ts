// A checkpoint with what reads and writes its text opened, from files in memory or from a server; an engine makes it a model.
import { parseCalibration, type Calibration } from '../calibration/index.js'
import {
  fetchCheckpointFiles,
  fromCheckpointFiles,
  type Checkpoint,
  type FetchOptions,
} from '../checkpoint/index.js'
import type { HostWeights, ModelConfig } from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import { openTokenizer, type Tokenizer } from '../tokenizer/index.js'

/** What engines are made of (`config`, `weights`), and what a {@link TextModel} has beside its engine. */
export interface TextCheckpoint {
  readonly config: ModelConfig
  readonly weights: HostWeights
  readonly tokenizer: Tokenizer
  /** What `calibrate` saved with it; undefined where it was not calibrated. */
  readonly calibration?: Calibration
}

export interface FetchCheckpointOptions extends FetchOptions {
  /** A shallow exit in place of the checkpoint's own S. Neutral: undefined. */
  readonly shallowLayers?: number
}

/**
 * Loads a checkpoint from the folder at a URL:
 *
 *     const { config, weights, ...text } = await fetchCheckpoint('/checkpoints/translation')
 *     const model = { ...text, engine: createTfjsEngine({ config, weights, backend: await chooseBackend() }) }
 *
 * Throws what {@link fetchCheckpointFiles}, {@link fromCheckpointFiles} and {@link openText} throw.
 */
export async function fetchCheckpoint(
  url: string | URL,
  { shallowLayers, ...options }: FetchCheckpointOptions = {},
): Promise<TextCheckpoint> {
  const source = String(url)
  const files = await fetchCheckpointFiles(url, options)
  return openText(fromCheckpointFiles(files, source, { shallowLayers }), source)
}

/**
 * Opens a checkpoint's tokenizer and its saved calibration. Throws `checkpoint.no-tokenizer` and what opening tokenizers
 * and calibrations throws.
 * @param source the folder's name, for messages
 */
export function openText(checkpoint: Checkpoint, source: string): TextCheckpoint {
  const { config, weights, tokenizerJson, calibration } = checkpoint
  const folder = source.replace(/\/+$/, '')
  if (tokenizerJson === undefined) {
    throw new ShallowDeepError({
      code: 'checkpoint.no-tokenizer',
      message: `${source} has no tokenizer.json`,
      hint: 'put the tokenizer of the model there',
      details: { folder: source },
    })
  }
  return {
    config,
    weights,
    tokenizer: openTokenizer(tokenizerJson, `${folder}/tokenizer.json`),
    ...(calibration && { calibration: parseCalibration(calibration, `${folder}/calibration.json`) }),
  }
}
