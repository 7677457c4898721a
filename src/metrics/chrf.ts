// chrF (Popovic, 2015) and chrF++ (Popovic, 2017) as sacreBLEU 2.6 computes them: F-scores over character n-grams,
// with word n-grams beside them in chrF++, averaged over the orders that both texts have.
import { defineMetric, type Metric } from './metric.js'
import { countNgrams, countShared, numNgrams, type NgramCounts } from './ngrams.js'
import { splitWhiteSpace } from './textTokenizers.js'

/** Settings of chrF. */
export interface ChrfOptions {
  /** Longest character n-gram; default 6. */
  readonly characterOrder?: number
  /** Longest word n-gram: 0 (default) is chrF, 2 is chrF++. */
  readonly wordOrder?: number
  /** Recall counts beta times as much as precision; default 2. */
  readonly beta?: number
  /** Default false. */
  readonly lowercase?: boolean
}

const DEFAULTS = { characterOrder: 6, wordOrder: 0, beta: 2, lowercase: false }
const PUNCTUATION = new Set('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~')

/** The n-grams of a text, one order after the other. */
interface OrderedNgrams {
  readonly counts: readonly NgramCounts[]
  /** All n-grams of that order. */
  readonly totals: readonly number[]
}

/**
 * chrF as a metric, named `chrf` with a `+` for each word order. Its statistics are three numbers for each order,
 * characters first: n-grams of the hypothesis (0 where the reference has none), of the reference, matches; all of the
 * reference with the best sentence score, the first of equals.
 */
export function chrf(options: ChrfOptions = {}): Metric {
  const { characterOrder, wordOrder, beta, lowercase } = { ...DEFAULTS, ...options }
  const extract = (text: string) =>
    extractNgrams(lowercase ? text.toLowerCase() : text, characterOrder, wordOrder)
  return defineMetric({
    name: `chrf${'+'.repeat(wordOrder)}`,
    settings: {
      case: lowercase ? 'lc' : 'mixed',
      eff: 'yes',
      nc: characterOrder,
      nw: wordOrder,
      space: 'no',
      // sacreBLEU keeps beta in the name (chrF2) and not in the signature; another beta must not go unseen.
      ...(beta === DEFAULTS.beta ? {} : { beta }),
    },
    statistics(hypothesis, references) {
      const ngrams = extract(hypothesis)
      let best: number[] = []
      let bestScore = -1
      for (const reference of references) {
        const statistics = compare(ngrams, extract(reference))
        const score = computeChrf(statistics, beta)
        if (score > bestScore) {
          best = statistics
          bestScore = score
        }
      }
      return best
    },
    aggregate: (sums) => computeChrf(sums, beta),
  })
}

/**
 * The F-score, 0 to 100, of precision and recall averaged over the orders where neither text is too short.
 * @param sums three numbers for each order, see {@link chrf}
 */
function computeChrf(sums: ArrayLike<number>, beta: number): number {
  let precision = 0
  let recall = 0
  let effectiveOrder = 0
  for (let i = 0; i < sums.length; i += 3) {
    const [numHypothesis, numReference, numShared] = [sums[i], sums[i + 1], sums[i + 2]]
    if (numHypothesis === 0 || numReference === 0) continue
    precision += numShared / numHypothesis
    recall += numShared / numReference
    effectiveOrder++
  }
  if (precision + recall === 0) return 0
  precision /= effectiveOrder
  recall /= effectiveOrder
  const factor = beta ** 2
  return (100 * (1 + factor) * precision * recall) / (factor * precision + recall)
}

function compare(hypothesis: OrderedNgrams, reference: OrderedNgrams): number[] {
  return hypothesis.counts.flatMap((counts, i) => [
    reference.totals[i] > 0 ? hypothesis.totals[i] : 0,
    reference.totals[i],
    countShared(counts, reference.counts[i]),
  ])
}

function extractNgrams(text: string, characterOrder: number, wordOrder: number): OrderedNgrams {
  const characters = [...splitWhiteSpace(text).join('')] // code points, not UTF-16 units
  const words = wordOrder > 0 ? splitPunctuation(text) : []
  const counts: NgramCounts[] = []
  const totals: number[] = []
  for (let order = 1; order <= characterOrder; order++) {
    counts.push(countNgrams(characters, order, ''))
    totals.push(numNgrams(characters.length, order))
  }
  for (let order = 1; order <= wordOrder; order++) {
    counts.push(countNgrams(words, order))
    totals.push(numNgrams(words.length, order))
  }
  return { counts, totals }
}

/** Words with one punctuation mark split off: the last character, or else the first (so `(hi)` gives `(hi`, `)`). */
function splitPunctuation(text: string): string[] {
  return splitWhiteSpace(text).flatMap((word) => {
    if ([...word].length === 1) return [word]
    if (PUNCTUATION.has(word[word.length - 1])) return [word.slice(0, -1), word.slice(-1)]
    if (PUNCTUATION.has(word[0])) return [word[0], word.slice(1)]
    return [word]
  })
}
