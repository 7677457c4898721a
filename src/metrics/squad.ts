// Exact match and F1 over answers, as the official SQuAD scripts (v1.1: Rajpurkar et al., 2016; v2.0: 2018) compute
// them: over normalised texts, the best of the accepted answers.
import { defineMetric, type Metric } from './metric.js'
import { countNgrams, countShared } from './ngrams.js'
import { splitWhiteSpace } from './textTokenizers.js'

const ASCII_PUNCTUATION = /[!-/:-@[-`{-~]/g
/** Word boundaries as Python sees them, where any letter or number of Unicode belongs to a word (`\b` is ASCII here). */
const ARTICLE = /(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu

/** Settings of the answer F1. */
export interface AnswerF1Options {
  /**
   * What two answers get that have no words after normalisation: `zero` (default, the v1.1 script) or `match`
   * (the v2.0 script, for data with unanswerable questions: 1 if both are empty).
   */
  readonly emptyAnswers?: 'zero' | 'match'
}

/** Lower case, without ASCII punctuation, English articles and superfluous white space. */
export function normalizeAnswer(text: string): string {
  const words = text.toLowerCase().replace(ASCII_PUNCTUATION, '').replace(ARTICLE, ' ')
  return splitWhiteSpace(words).join(' ')
}

/** 1 if the normalised texts are equal, else 0. */
export function answerMatches(prediction: string, answer: string): 0 | 1 {
  return normalizeAnswer(prediction) === normalizeAnswer(answer) ? 1 : 0
}

/** Harmonic mean, 0 to 1, of precision and recall over the words of the normalised texts. */
export function answerF1(prediction: string, answer: string, options: AnswerF1Options = {}): number {
  const predicted = splitWhiteSpace(normalizeAnswer(prediction))
  const expected = splitWhiteSpace(normalizeAnswer(answer))
  if (options.emptyAnswers === 'match' && predicted.length === 0 && expected.length === 0) return 1
  const numShared = countShared(countNgrams(predicted, 1), countNgrams(expected, 1))
  if (numShared === 0) return 0
  const precision = numShared / predicted.length
  const recall = numShared / expected.length
  return (2 * precision * recall) / (precision + recall)
}

/** Per cent of predictions that equal one of the accepted answers. Its statistics are [0 or 1]. */
export function exactMatch(): Metric {
  return defineMetric({
    name: 'exactMatch',
    settings: { case: 'lc', norm: 'squad', multi: 'best' },
    statistics: (prediction, answers) => [
      Math.max(...answers.map((answer) => answerMatches(prediction, answer))),
    ],
    aggregate: (sums, numSegments) => (100 * sums[0]) / numSegments,
  })
}

/** Mean F1 in per cent over the best accepted answers. Its statistics are [F1 in 0..1]. */
export function f1(options: AnswerF1Options = {}): Metric {
  const { emptyAnswers = 'zero' } = options
  return defineMetric({
    name: 'f1',
    settings: { case: 'lc', norm: 'squad', empty: emptyAnswers, multi: 'best' },
    statistics: (prediction, answers) => [
      Math.max(...answers.map((answer) => answerF1(prediction, answer, { emptyAnswers }))),
    ],
    aggregate: (sums, numSegments) => (100 * sums[0]) / numSegments,
  })
}
