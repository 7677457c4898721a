// ROUGE-1, -2, -L and -Lsum (Lin, 2004) as Google's rouge-score 0.1.2 computes them. Only [a-z0-9] make tokens, so
// texts in other scripts score 0; ROUGE-Lsum takes lines as sentences and splits nowhere else.
import { defineMetric, type Metric } from './metric.js'
import { countNgrams, countShared, numNgrams } from './ngrams.js'
import { stemWord } from './porter.js'

/** The kinds of ROUGE: over words, word pairs, the longest common subsequence of texts, and that of their lines. */
export const ROUGE_TYPES = ['rouge1', 'rouge2', 'rougeL', 'rougeLsum'] as const
export type RougeType = (typeof ROUGE_TYPES)[number]

/** Settings of ROUGE. */
export interface RougeOptions {
  /** Compares Porter stems instead of words; default false. */
  readonly stem?: boolean
}

/** All three between 0 and 1. */
export interface RougeScore {
  readonly precision: number
  readonly recall: number
  readonly fMeasure: number
}

/**
 * ROUGE as a metric, named by its type, with `-stem` behind it where it stems: the mean F-measure in per cent, over the best reference of each segment.
 * Its statistics are [F in 0..1].
 */
export function rouge(type: RougeType, options: RougeOptions = {}): Metric {
  return defineMetric({
    name: options.stem ? `${type}-stem` : type,
    settings: { case: 'lc', tok: 'rouge-score', stem: options.stem ? 'porter' : 'no', multi: 'best' },
    statistics: (hypothesis, references) => [
      computeRouge(hypothesis, references, { type, stem: options.stem }).fMeasure,
    ],
    aggregate: (sums, numSegments) => (100 * sums[0]) / numSegments,
  })
}

/** ROUGE of one text, against the reference (of at least one) with the best F-measure, the first of equals. */
export function computeRouge(
  candidate: string,
  references: readonly string[],
  options: RougeOptions & { readonly type: RougeType },
): RougeScore {
  return references
    .map((reference) => SCORERS[options.type](candidate, reference, options.stem ?? false))
    .reduce((best, score) => (score.fMeasure > best.fMeasure ? score : best))
}

/** Lower-case runs of [a-z0-9]; with `stem`, words of more than three characters are stemmed. */
export function tokenizeForRouge(text: string, stem: boolean): string[] {
  const words: string[] = text.toLowerCase().match(/[a-z0-9]+/g) ?? []
  return stem ? words.map((word) => (word.length > 3 ? stemWord(word) : word)) : words
}

type Scorer = (candidate: string, reference: string, stem: boolean) => RougeScore

const SCORERS: Readonly<Record<RougeType, Scorer>> = {
  rouge1: (candidate, reference, stem) =>
    scoreNgrams(tokenizeForRouge(candidate, stem), tokenizeForRouge(reference, stem), 1),
  rouge2: (candidate, reference, stem) =>
    scoreNgrams(tokenizeForRouge(candidate, stem), tokenizeForRouge(reference, stem), 2),
  rougeL: (candidate, reference, stem) =>
    scoreSubsequence(tokenizeForRouge(candidate, stem), tokenizeForRouge(reference, stem)),
  rougeLsum: (candidate, reference, stem) =>
    scoreLines(tokenizeLines(candidate, stem), tokenizeLines(reference, stem)),
}

function tokenizeLines(text: string, stem: boolean): string[][] {
  return text.split('\n').map((line) => tokenizeForRouge(line, stem))
}

function scoreNgrams(candidate: readonly string[], reference: readonly string[], order: number): RougeScore {
  const shared = countShared(countNgrams(candidate, order), countNgrams(reference, order))
  return toScore(shared, numNgrams(candidate.length, order), numNgrams(reference.length, order))
}

function scoreSubsequence(candidate: readonly string[], reference: readonly string[]): RougeScore {
  const table = subsequenceTable(reference, candidate)
  return toScore(table[table.length - 1], candidate.length, reference.length)
}

/**
 * Each reference line is covered by the union of its common subsequences with all candidate lines; a word counts at
 * most as often as it occurs in the whole candidate.
 */
function scoreLines(
  candidate: readonly (readonly string[])[],
  reference: readonly (readonly string[])[],
): RougeScore {
  const left = countNgrams(candidate.flat(), 1)
  let hits = 0
  for (const line of reference) {
    const covered = new Set(candidate.flatMap((other) => commonPositions(line, other)))
    for (const position of covered) {
      const remaining = left.get(line[position]) ?? 0
      if (remaining === 0) continue
      left.set(line[position], remaining - 1)
      hits++
    }
  }
  return toScore(hits, candidate.flat().length, reference.flat().length)
}

/** Positions in `reference` of one longest common subsequence with `candidate`: on ties the reference gives way. */
function commonPositions(reference: readonly string[], candidate: readonly string[]): number[] {
  const table = subsequenceTable(reference, candidate)
  const width = candidate.length + 1
  const positions: number[] = []
  let i = reference.length
  let j = candidate.length
  while (i > 0 && j > 0) {
    if (reference[i - 1] === candidate[j - 1]) {
      positions.push(i - 1)
      i--
      j--
    } else if (table[i * width + j - 1] > table[(i - 1) * width + j]) j--
    else i--
  }
  return positions
}

/** Lengths of the longest common subsequences of all prefixes: [(rows + 1) * (columns + 1)], row by row. */
function subsequenceTable(rows: readonly string[], columns: readonly string[]): Uint32Array {
  const width = columns.length + 1
  const table = new Uint32Array((rows.length + 1) * width)
  for (let i = 1; i <= rows.length; i++) {
    for (let j = 1; j < width; j++) {
      const at = i * width + j
      table[at] =
        rows[i - 1] === columns[j - 1]
          ? table[at - width - 1] + 1
          : Math.max(table[at - width], table[at - 1])
    }
  }
  return table
}

function toScore(shared: number, numCandidate: number, numReference: number): RougeScore {
  if (shared === 0) return { precision: 0, recall: 0, fMeasure: 0 }
  const precision = shared / numCandidate
  const recall = shared / numReference
  return { precision, recall, fMeasure: (2 * precision * recall) / (precision + recall) }
}
