// How many columns of a terminal a text takes, and padding, cutting and wrapping by that measure. Works on grapheme
// clusters: an accent takes no column of its own, East Asian wide characters and emoji take two (UAX 11, UTS 51).

const segmenter = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** First and last code point of the blocks that terminals draw two columns wide, emoji apart. */
const WIDE_RANGES: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x17000, 0x18cff],
  [0x1b000, 0x1b2ff],
  [0x20000, 0x3fffd],
]

const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]+$/u
const EMOJI = /^\p{Emoji_Presentation}|\uFE0F/u

/** The user-perceived characters of a text. */
export function splitGraphemes(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment)
}

/** Columns that a text without control characters takes. */
export function displayWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length
  return splitGraphemes(text).reduce((sum, grapheme) => sum + graphemeWidth(grapheme), 0)
}

function graphemeWidth(grapheme: string): 0 | 1 | 2 {
  if (ZERO_WIDTH.test(grapheme)) return 0
  if (EMOJI.test(grapheme)) return 2
  const codePoint = grapheme.codePointAt(0) ?? 0
  return WIDE_RANGES.some(([first, last]) => codePoint >= first && codePoint <= last) ? 2 : 1
}

/** The text with spaces on the left or right up to `width` columns; longer texts come back as they are. */
export function padToWidth(text: string, width: number, align: 'left' | 'right'): string {
  const padding = ' '.repeat(Math.max(0, width - displayWidth(text)))
  return align === 'left' ? text + padding : padding + text
}

/** The text, or its beginning with an ellipsis where it takes more than `width` columns (at least 1). */
export function cutToWidth(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  return takeColumns(splitGraphemes(text), width - 1).join('') + '…'
}

/** The longest beginning of a list of graphemes that takes at most `width` columns. */
export function takeColumns(graphemes: readonly string[], width: number): string[] {
  let used = 0
  let taken = 0
  while (taken < graphemes.length && used + graphemeWidth(graphemes[taken]) <= width) {
    used += graphemeWidth(graphemes[taken++])
  }
  return graphemes.slice(0, taken)
}

/**
 * Lines of at most `width` columns, broken at spaces; a word that is longer is broken inside. Spaces at breaks are
 * dropped. Lines after the first begin with `indent`.
 */
export function wrapText(text: string, width: number, indent = ''): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/ +/).filter((part) => part !== '')) {
    let rest = word
    const joined = line === '' || line === indent ? line + rest : `${line} ${rest}`
    if (displayWidth(joined) <= width) {
      line = joined
      continue
    }
    if (line.trim() !== '') lines.push(line)
    line = indent
    while (displayWidth(line + rest) > width) {
      const room = Math.max(1, width - displayWidth(line))
      const graphemes = splitGraphemes(rest)
      // One grapheme at least, or a wide one in a narrow place would never be used up.
      const head = graphemes.slice(0, Math.max(1, takeColumns(graphemes, room).length)).join('')
      lines.push(line + head)
      rest = rest.slice(head.length)
      line = indent
      if (rest === '') break
    }
    line += rest
  }
  if (line.trim() !== '' || lines.length === 0) lines.push(line)
  return lines
}
