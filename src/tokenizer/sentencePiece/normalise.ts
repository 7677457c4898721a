// SentencePiece's normaliser: longest matches of its table are replaced, white space is joined and marked.
import type { CharsMap, Replacement } from '../charsMap.js'
import type { PieceTrie } from '../pieceTrie.js'
import { WORD_MARK } from '../words.js'

/** What a normaliser looks up. */
export interface NormaliserTables {
  /** Undefined where nothing is replaced. */
  readonly charsMap: CharsMap | undefined
  /** Pieces that the user defined, which stay as they are. */
  readonly userDefined: PieceTrie
}

/** The text that is cut into pieces: each run of spaces is one mark, one stands before the text and none behind it. */
export function normaliseForPieces(text: string, tables: NormaliserTables): string {
  let at = 0
  while (at < text.length) {
    const next = nextPart(text, at, tables)
    if (next.text !== ' ') break
    at = next.end
  }
  if (at === text.length) return ''
  let normalised = WORD_MARK
  let isAfterSpace = true
  while (at < text.length) {
    const next = nextPart(text, at, tables)
    at = next.end
    const part: string = isAfterSpace ? next.text.replace(/^ +/, '') : next.text
    if (part === '') continue
    normalised += part.replaceAll(' ', WORD_MARK)
    isAfterSpace = part.endsWith(' ')
  }
  let end = normalised.length
  while (normalised[end - 1] === WORD_MARK) end--
  return normalised.slice(0, end)
}

/** What the text becomes from `start` on, as far as one match or one character reaches. */
function nextPart(text: string, start: number, { charsMap, userDefined }: NormaliserTables): Replacement {
  const kept = userDefined.longestPrefix(text, start)
  if (kept) return { end: kept.end, text: text.slice(start, kept.end) }
  const replaced = charsMap?.find(text, start, text.length, 'longest')
  if (replaced) return replaced
  const end = start + (text.codePointAt(start)! > 0xffff ? 2 : 1)
  return { end, text: text.slice(start, end) }
}
