// Confidence measures: from what an exit offers to a number in [0, 1], 1 = certain.
import type { ConfidenceName } from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import type { EngineInfo, ExitChoice, ExitFeature } from './engine.js'

/** How sure an exit is of its choice. */
export interface ConfidenceMeasure {
  /** What the exit must be asked for. */
  readonly needs: readonly ExitFeature[]
  /** In [0, 1]. `vocabSize` V, at least 2. */
  measure(choice: ExitChoice, vocabSize: number): number
}

// Rounding in float32 may leave [0, 1] by an ulp; NaN stays NaN.
const clamp = (x: number): number => (x < 0 ? 0 : x > 1 ? 1 : x)

const measures: Readonly<Record<ConfidenceName, ConfidenceMeasure>> = {
  // Softmax response of CALM (Schuster et al. 2022) and FREE: the gap between the two largest probabilities.
  'top2-gap': { needs: ['probabilities'], measure: ({ top1, top2 }) => clamp(top1! - top2!) },
  top1: { needs: ['probabilities'], measure: ({ top1 }) => clamp(top1!) },
  // 1 - H / ln V: 0 for the uniform distribution.
  entropy: {
    needs: ['entropy'],
    measure: ({ entropy }, vocabSize) => clamp(1 - entropy! / Math.log(vocabSize)),
  },
  // Meta classifier of CALM: a head on the shallow state, trained on the agreement of both exits.
  learned: { needs: ['agreement'], measure: ({ agreement }) => clamp(agreement!) },
}

/** The measure of that name. Throws `decoding.no-confidence-head` for `learned` where the model has no such head. */
export function confidenceMeasure(
  name: ConfidenceName,
  { hasConfidenceHead }: Pick<EngineInfo, 'hasConfidenceHead'>,
): ConfidenceMeasure {
  if (name !== 'learned' || hasConfidenceHead) return measures[name]
  throw new ShallowDeepError({
    code: 'decoding.no-confidence-head',
    message: 'confidence learned: expected a model with a confidence head, this one has none',
    hint: 'train one with shallowdeep finetune --confidence-head --train confidence-head, or take another measure',
  })
}
