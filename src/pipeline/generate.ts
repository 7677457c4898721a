// Text in, text out: a model with its tokenizer, decoded as a stream of events. Browser-safe.
import { calibratorOf, type Calibration, type Calibrator } from '../calibration/index.js'
import type { DecodingOptions } from '../config/index.js'
import { encodeText } from '../data/index.js'
import {
  createPolicy,
  decode,
  type DecodeEvent,
  type DecodeOptions,
  type DecoderEngine,
  type Policy,
} from '../decoding/index.js'
import { ShallowDeepError } from '../errors.js'
import { decodeByProfit, type ProfitRule } from '../evaluation/index.js'
import { IncrementalDetokeniser, type Tokenizer } from '../tokenizer/index.js'

/** A model that reads and writes text. */
export interface TextModel {
  readonly engine: DecoderEngine
  readonly tokenizer: Tokenizer
  /** What `calibrate` saved with it; undefined where it was not calibrated. */
  readonly calibration?: Calibration
}

/** How to generate; what is left out takes the default of the decoding loop. */
export interface GenerateOptions extends Omit<DecodeOptions, 'createTextStream'> {
  /** Put before each text. Neutral: ''. */
  readonly prefix?: string
  /** Input tokens, `</s>` included; longer inputs are cut. Default 512. */
  readonly maxSourceLength?: number
  /** Decides, text by text or batch by batch, between the policy and full decoding. Neutral: undefined, the policy. */
  readonly profit?: ProfitRule
  /** Called for each text that was cut. */
  readonly onTruncated?: (row: number) => void
}

/**
 * Decodes one text, or several as the rows of one batch. Yields the events of {@link decode}; `commit` events carry the
 * text. Throws what `decode` throws.
 */
export function generate(
  { engine, tokenizer }: TextModel,
  text: string | readonly string[],
  options: GenerateOptions,
): AsyncGenerator<DecodeEvent, void, void> {
  const { prefix = '', maxSourceLength = 512, profit, onTruncated, ...rest } = options
  const texts = typeof text === 'string' ? [text] : text
  const sources = texts.map((source, row) => {
    const { ids, isTruncated } = encodeText(tokenizer, prefix + source, maxSourceLength)
    if (isTruncated) onTruncated?.(row)
    return ids
  })
  const decoding = { ...rest, createTextStream: () => new IncrementalDetokeniser(tokenizer) }
  return profit ? decodeByProfit(engine, sources, { ...decoding, profit }) : decode(engine, sources, decoding)
}

/**
 * A fresh policy as options ask for it: `threshold: calibrated` keeps the model's saved threshold, `adaptive` goes on from
 * its evidence where there is any. Throws what `createPolicy` throws, and `decoding.other-calibration` where the saved one
 * is of another shallow exit or another confidence.
 */
export function policyFor(
  model: Pick<TextModel, 'engine' | 'calibration'>,
  options: Pick<
    DecodingOptions,
    'policy' | 'exitLayer' | 'threshold' | 'rollbackBound' | 'calibrator' | 'confidence'
  >,
): Policy {
  const { policy, threshold } = options
  const isUsed = policy !== 'full' && policy !== 'static' && typeof threshold === 'string'
  return createPolicy(options, isUsed ? savedCalibrator(model, { ...options, threshold }) : undefined)
}

/**
 * A fresh calibrator from the model's saved calibration; undefined where it has none. Throws
 * `decoding.other-calibration`.
 */
export function savedCalibrator(
  { engine, calibration }: Pick<TextModel, 'engine' | 'calibration'>,
  options: {
    readonly threshold: 'adaptive' | 'calibrated'
    readonly confidence: DecodingOptions['confidence']
  },
): Calibrator | undefined {
  if (calibration === undefined) return undefined
  const { threshold, confidence } = options
  const { shallowLayers } = engine.info
  if (calibration.shallowLayers !== shallowLayers || calibration.confidence !== confidence) {
    throw new ShallowDeepError({
      code: 'decoding.other-calibration',
      message:
        `threshold: ${threshold} needs a calibration of layer ${shallowLayers} and ${confidence}, ` +
        `the saved one is of layer ${calibration.shallowLayers} and ${calibration.confidence}`,
      hint: 'run shallowdeep calibrate with the same options, or give a number',
      details: { shallowLayers, confidence },
    })
  }
  return calibratorOf(calibration, threshold)
}
