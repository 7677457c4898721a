// The automatic choice of the shallow depth: measures a model on validation data, and chooses by what was measured.
import { parseDepthOptions, type DepthOptionsInput } from '../config/index.js'
import type { DecoderEngine } from '../decoding/index.js'
import { ShallowDeepError } from '../errors.js'
import { chooseByMeasurements, type DepthChoice } from '../evaluation/index.js'
import { measureSegmentCosts, observeExits } from './measureDepths.js'

export interface ChooseDepthOptions extends DepthOptionsInput {
  /** Of a plain or a shallow-deep model; its own shallow exit plays no part. Not disposed. */
  readonly engine: DecoderEngine
  /** Token ids of each source, with the end of sequence; at least one. */
  readonly sources: readonly ArrayLike<number>[]
  /**
   * Token ids that the decoder is forced along, with the end of sequence. Neutral: undefined, the model's own full greedy
   * output, which is what its exits meet in decoding. References serve better where the model does not yet do the task.
   */
  readonly targets?: readonly ArrayLike<number>[]
  /** Tokens of an own output at most. Neutral: 128. */
  readonly maxNewTokens?: number
  /** Milliseconds from any origin. Neutral: performance.now. */
  readonly now?: () => number
  readonly onExample?: (numDone: number, numExamples: number) => void
  readonly signal?: AbortSignal
}

/**
 * Chooses the decoder layer after which the shallow exit is to be. Reads the clock, so that two runs may choose differently
 * where depths are about equally good.
 * Throws `config.*`, `evaluation.no-sources`, `evaluation.one-layer` (there is nothing to choose), and what the engine
 * throws; rejects with `signal.reason` when aborted.
 */
export async function chooseDepth(options: ChooseDepthOptions): Promise<DepthChoice> {
  const { engine, sources, targets, maxNewTokens = 128, now, onExample, signal, ...given } = options
  const depthOptions = parseDepthOptions(given)
  const { confidence } = depthOptions
  if (sources.length === 0) {
    throw new ShallowDeepError({
      code: 'evaluation.no-sources',
      message: 'the choice of a depth needs at least one example, got none',
      hint: 'give validation data',
    })
  }
  if (engine.info.decoderLayers < 2) {
    throw new ShallowDeepError({
      code: 'evaluation.one-layer',
      message: 'the model has one decoder layer, a shallow exit needs one after it',
      hint: 'a shallow exit saves nothing here',
    })
  }
  const exits = await observeExits({
    engine,
    sources,
    targets,
    confidence,
    maxNewTokens,
    onExample,
    signal,
  })
  const numTokens = exits[0].agree.length
  const { costs, fullMs } = await measureSegmentCosts({
    engine,
    source: sourceOfMedianLength(sources),
    // Half of a sequence: what a token meets by average.
    contextLength: Math.max(1, Math.round(numTokens / sources.length / 2)),
    confidence,
    now,
    signal,
  })
  return chooseByMeasurements({ exits, costs, fullMs, numSequences: sources.length }, depthOptions)
}

function sourceOfMedianLength(sources: readonly ArrayLike<number>[]): ArrayLike<number> {
  const sorted = [...sources].sort((a, b) => a.length - b.length)
  return sorted[sorted.length >> 1]
}
