// BLEU (Papineni et al., 2002) as sacreBLEU 2.6 computes it, up to 4-grams: corpus and sentence scores, effective
// order, and the smoothings that Chen and Cherry (2014) compare.
import { defineMetric, type Metric, type MetricDefinition } from './metric.js'
import { countNgrams, countShared, numNgrams } from './ngrams.js'
import { tokenizeText, type TextTokenizerName } from './textTokenizers.js'

const MAX_ORDER = 4

/** What happens to an n-gram order without a match: `exp` halves an assumed match each time, `floor` and `add-k` add. */
export type BleuSmoothing = 'exp' | 'floor' | 'add-k' | 'none'

/** Settings of BLEU. */
export interface BleuOptions {
  /** Default `13a`. */
  readonly tokenizer?: TextTokenizerName
  /** Default `exp`. */
  readonly smoothing?: BleuSmoothing
  /** For `floor` (default 0.1) and `add-k` (default 1) only. */
  readonly smoothingValue?: number
  /** Leaves out orders longer than the hypothesis; meant for single sentences. Default false. */
  readonly effectiveOrder?: boolean
  /** Default false. */
  readonly lowercase?: boolean
}

/** A BLEU score and what it is made of. */
export interface BleuScore {
  /** 0 to 100 (the last digit may exceed 100: 100.00000000000004). */
  readonly score: number
  /** Matched n-grams for n = 1..4; `add-k` adds its value from n = 2 on. */
  readonly counts: readonly number[]
  /** N-grams of the hypotheses for n = 1..4; `add-k` adds its value from n = 2 on. */
  readonly totals: readonly number[]
  /** Per cent, after smoothing. */
  readonly precisions: readonly number[]
  /** 0 to 1. */
  readonly brevityPenalty: number
  /** In tokens. */
  readonly hypothesisLength: number
  /** In tokens, of the reference nearest in length (the shorter of two equally near). */
  readonly referenceLength: number
}

const DEFAULT_SMOOTHING_VALUE: Readonly<Record<BleuSmoothing, number | undefined>> = {
  exp: undefined,
  floor: 0.1,
  'add-k': 1,
  none: undefined,
}

/**
 * BLEU as a metric, named `bleu`, or by its tokenizer `bleu-intl` and `bleu-char`. Its statistics are [hypothesis length,
 * reference length, 4 match counts, 4 totals]. A score of a single segment wants `effectiveOrder`: {@link sentenceBleu}.
 */
export function bleu(options: BleuOptions = {}): Metric {
  return defineMetric(bleuDefinition(options))
}

/**
 * The mean of sentence BLEU, with effective order unless told otherwise, as sacreBLEU's `sentence_bleu` scores each
 * segment; named as {@link bleu} is, with `-sentence` behind it. Its statistics are [score in 0..100].
 */
export function sentenceBleu(options: BleuOptions = {}): Metric {
  const { name, settings, statistics, aggregate } = bleuDefinition({ effectiveOrder: true, ...options })
  return defineMetric({
    name: `${name}-sentence`,
    settings: { ...settings, mean: 'sentence' },
    statistics: (hypothesis, references) => [aggregate(statistics(hypothesis, references), 1)],
    aggregate: (sums, numSegments) => sums[0] / numSegments,
  })
}

function bleuDefinition(options: BleuOptions): MetricDefinition {
  const { tokenizer = '13a', smoothing = 'exp', effectiveOrder = false, lowercase = false } = options
  const value = smoothingValueOf(options)
  return {
    name: tokenizer === '13a' ? 'bleu' : `bleu-${tokenizer}`,
    settings: {
      case: lowercase ? 'lc' : 'mixed',
      eff: effectiveOrder ? 'yes' : 'no',
      tok: tokenizer,
      smooth: value === undefined ? smoothing : `${smoothing}[${value.toFixed(2)}]`,
    },
    statistics(hypothesis, references) {
      const tokens = (text: string) => tokenizeText(lowercase ? text.toLowerCase() : text, tokenizer)
      return collectStatistics(tokens(hypothesis), references.map(tokens))
    },
    aggregate: (sums) => computeBleu(sums, options).score,
  }
}

/**
 * BLEU with all its parts from summed statistics (see {@link bleu} for their order). The score is exactly 0 when not
 * even a single word matches, whatever the smoothing.
 */
export function computeBleu(sums: ArrayLike<number>, options: BleuOptions = {}): BleuScore {
  const { smoothing = 'exp', effectiveOrder = false } = options
  const value = smoothingValueOf(options) ?? 0
  const [hypothesisLength, referenceLength, ...rest] = Array.from(sums)
  const counts = rest.slice(0, MAX_ORDER)
  const totals = rest.slice(MAX_ORDER)
  const precisions = new Array<number>(MAX_ORDER).fill(0)
  const brevityPenalty = penalise(hypothesisLength, referenceLength)
  const parts = { counts, totals, precisions, brevityPenalty, hypothesisLength, referenceLength }
  if (counts.every((count) => count === 0)) return { score: 0, ...parts }

  let order = MAX_ORDER
  let assumedMatch = 1
  for (let i = 0; i < MAX_ORDER; i++) {
    if (smoothing === 'add-k' && i > 0) {
      counts[i] += value
      totals[i] += value
    }
    if (totals[i] === 0) break
    if (effectiveOrder) order = i + 1
    if (counts[i] > 0) precisions[i] = (100 * counts[i]) / totals[i]
    else if (smoothing === 'exp') precisions[i] = (100 * (assumedMatch /= 2)) / totals[i]
    else if (smoothing === 'floor') precisions[i] = (100 * value) / totals[i]
  }
  let sumOfLogs = 0
  for (let i = 0; i < order; i++) sumOfLogs += Math.log(precisions[i])
  return { score: brevityPenalty * Math.exp(sumOfLogs / order), ...parts }
}

function smoothingValueOf(options: BleuOptions): number | undefined {
  const usual = DEFAULT_SMOOTHING_VALUE[options.smoothing ?? 'exp']
  return usual === undefined ? undefined : (options.smoothingValue ?? usual)
}

function penalise(hypothesisLength: number, referenceLength: number): number {
  if (hypothesisLength >= referenceLength) return 1
  return hypothesisLength > 0 ? Math.exp(1 - referenceLength / hypothesisLength) : 0
}

/** An n-gram matches as often as it occurs in the reference that has it most often. */
function collectStatistics(
  hypothesis: readonly string[],
  references: readonly (readonly string[])[],
): number[] {
  const counts: number[] = []
  const totals: number[] = []
  for (let order = 1; order <= MAX_ORDER; order++) {
    const allowed = countNgrams(references[0], order)
    for (const reference of references.slice(1)) {
      for (const [ngram, count] of countNgrams(reference, order)) {
        if (count > (allowed.get(ngram) ?? 0)) allowed.set(ngram, count)
      }
    }
    counts.push(countShared(countNgrams(hypothesis, order), allowed))
    totals.push(numNgrams(hypothesis.length, order))
  }
  const lengths = references.map((reference) => reference.length)
  return [hypothesis.length, nearestLength(hypothesis.length, lengths), ...counts, ...totals]
}

function nearestLength(length: number, candidates: readonly number[]): number {
  return candidates.reduce((best, candidate) => {
    const closer = Math.abs(candidate - length) - Math.abs(best - length)
    return closer < 0 || (closer === 0 && candidate < best) ? candidate : best
  })
}
