// Counting n-grams and what two counts have in common; BLEU, chrF, ROUGE and the answer F1 are built on it.

/** How often each n-gram occurs. */
export type NgramCounts = Map<string, number>

/**
 * Counts the n-grams of one order.
 * @param tokens words, or single characters
 * @param order n, at least 1
 * @param separator joins the tokens of an n-gram; must not occur in tokens unless each is a single character
 */
export function countNgrams(tokens: readonly string[], order: number, separator = ' '): NgramCounts {
  const counts: NgramCounts = new Map()
  for (let i = 0; i + order <= tokens.length; i++) {
    const ngram = order === 1 ? tokens[i] : tokens.slice(i, i + order).join(separator)
    counts.set(ngram, (counts.get(ngram) ?? 0) + 1)
  }
  return counts
}

/** Sum over all n-grams of the smaller of the two counts. */
export function countShared(a: NgramCounts, b: NgramCounts): number {
  let shared = 0
  for (const [ngram, count] of a) shared += Math.min(count, b.get(ngram) ?? 0)
  return shared
}

/** How many n-grams a sequence has: its length minus (order - 1), at least 0. */
export function numNgrams(length: number, order: number): number {
  return Math.max(0, length - order + 1)
}
