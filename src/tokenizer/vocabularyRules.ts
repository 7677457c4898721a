// What both kinds of training share: which words they look at, which characters must be pieces, and what a piece may be.
import { ShallowDeepError } from '../errors.js'

export interface VocabularyOptions {
  /** Pieces to end with, special tokens not counted. */
  readonly numPieces: number
  /** Share (0 to 1) of character occurrences whose characters become pieces; rarer characters are unknown. */
  readonly characterCoverage: number
}

/** A string with how often it occurs, or with its score. */
export type Counted = readonly [text: string, count: number]

/** Orders by falling count, then by text, so that equal counts leave nothing to chance. */
export function byFallingCount(a: Counted, b: Counted): number {
  return b[1] - a[1] || (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0)
}

/**
 * The most frequent characters that together make up `characterCoverage` of all occurrences, by falling count.
 * Throws `tokenizer.too-few-pieces` where they alone are more than `numPieces`.
 */
export function requiredCharacters(
  words: ReadonlyMap<string, number>,
  { numPieces, characterCoverage }: VocabularyOptions,
): Counted[] {
  const counts = new Map<string, number>()
  let total = 0
  for (const [word, count] of words) {
    for (const character of word) {
      counts.set(character, (counts.get(character) ?? 0) + count)
      total += count
    }
  }
  let covered = 0
  const required: Counted[] = []
  for (const entry of [...counts].sort(byFallingCount)) {
    if (covered >= characterCoverage * total) break
    required.push(entry)
    covered += entry[1]
  }
  if (required.length <= numPieces) return required
  throw new ShallowDeepError({
    code: 'tokenizer.too-few-pieces',
    message: `the vocabulary has room for ${numPieces} pieces, but the characters alone are ${required.length}`,
    hint: 'raise the vocabulary size or lower the character coverage',
    details: { numPieces, numCharacters: required.length },
  })
}

/** The error for a text that gives fewer pieces than are wanted. */
export function tooLittleText(numPieces: number, found: number): ShallowDeepError {
  return new ShallowDeepError({
    code: 'tokenizer.too-little-text',
    message: `expected ${numPieces} pieces, but the text gives only ${found}`,
    hint: 'lower the vocabulary size or train on more text',
    details: { numPieces, found },
  })
}

/** Most characters in a piece, the mark counted. */
export const MAX_PIECE_LENGTH = 16

/** A piece that occurs once is not worth its place. */
export const MIN_PIECE_COUNT = 2

const ONE_KIND = /^▁?(?:[\p{L}\p{M}]*(?:['’][\p{L}\p{M}]+)*|\p{N}*|[^\p{L}\p{M}\p{N}▁]*)$/u

/**
 * Whether a piece holds one kind of character after its mark: letters, digits or signs, as SentencePiece splits.
 * Unlike there, an apostrophe before letters counts as one of them (`▁don't`, `'s`): 6 % fewer tokens in spoken English.
 */
export function isOneKind(piece: string): boolean {
  return ONE_KIND.test(piece)
}

/** Most code units in a word that training looks at. */
export const MAX_WORD_LENGTH = 48
const MAX_CODE_UNITS = 4_000_000

/**
 * The distinct words that training looks at, by falling count. Words of more than 48 code units (scripts without spaces)
 * are cut in parts, and the rarest words are left out beyond four million code units, so that memory stays bounded.
 */
export function trainingWords(words: ReadonlyMap<string, number>): Counted[] {
  const parts = new Map<string, number>()
  for (const [word, count] of words) {
    for (const part of word.length <= MAX_WORD_LENGTH ? [word] : cutWord(word)) {
      parts.set(part, (parts.get(part) ?? 0) + count)
    }
  }
  const sorted = [...parts].sort(byFallingCount)
  let size = 0
  const end = sorted.findIndex(([word]) => (size += word.length) > MAX_CODE_UNITS)
  return end < 0 ? sorted : sorted.slice(0, end)
}

function cutWord(word: string): string[] {
  const characters = [...word]
  const length = MAX_WORD_LENGTH / 2 // a character is at most two code units
  const parts: string[] = []
  for (let i = 0; i < characters.length; i += length) parts.push(characters.slice(i, i + length).join(''))
  return parts
}
