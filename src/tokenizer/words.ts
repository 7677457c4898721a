// Text as a tokenizer sees it before its model: normalised, cut into words that carry a mark in place of the space before
// them, and counted. Trained tokenizers state the same steps in their tokenizer.json; a test holds the two together.

/** Stands for the space before a word. */
export const WORD_MARK = '▁'

const LONE_SURROGATES = /\p{Surrogate}/gu

/** A text without halves of characters, which UTF-8 cannot hold: each becomes U+FFFD. */
export function makeWellFormed(text: string): string {
  return text.replace(LONE_SURROGATES, '\ufffd')
}

/**
 * A text without the differences that a vocabulary should not see: NFKC, each run of white space (line feeds too) as one
 * space, none at the ends. This is what decoding gives back.
 */
export function normaliseText(text: string): string {
  return makeWellFormed(text)
    .normalize('NFKC')
    .replace(/\p{White_Space}+/gu, ' ')
    .replace(/^ | $/g, '')
}

/** The words of a text, each with its mark: `a  b` gives `▁a`, `▁b`. A mark in the text counts as a space. */
export function splitWords(text: string): string[] {
  const marked = normaliseText(text).replaceAll(' ', WORD_MARK)
  if (marked === '') return []
  return (marked.startsWith(WORD_MARK) ? marked : WORD_MARK + marked).split(/(?=▁)/u)
}

/** Occurrences of each distinct word. */
export async function countWords(
  texts: Iterable<string> | AsyncIterable<string>,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for await (const text of texts) {
    for (const word of splitWords(text)) counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  return counts
}
