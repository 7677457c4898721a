// Where the tokens of a diagram stand: a column a token, as wide as its text, in as many rows of columns as the picture
// needs. Sizes in pixels; texts are measured without a font, rather too wide.
import type { OutputToken } from '../evaluation/index.js'
import { shownToken } from './decodedOutput.js'
import { splitGraphemes } from './displayWidth.js'
import { estimateTextWidth } from './textExtent.js'

/** A token's column. */
export interface TokenColumn {
  readonly index: number
  /** What stands in its box. */
  readonly text: string
  readonly left: number
  readonly width: number
}

/** Font size of the tokens. */
export const TOKEN_SIZE = 15

const PADDING = 9
const MIN_COLUMN = 30
const GAP_IN_WORD = 3
const GAP_BETWEEN_WORDS = 9
const MAX_CHARACTERS = 24
/** Columns are stretched to fill a row up to this factor; beyond it the row stays short. */
const MAX_STRETCH = 1.6

/** Rows of columns between `left` and `right`; each row holds at least one token. */
export function layOutTokens(
  tokens: readonly OutputToken[],
  { left, right }: { readonly left: number; readonly right: number },
): TokenColumn[][] {
  const rows: (TokenColumn & { gap: number })[][] = []
  let used = 0
  for (let index = 0; index < tokens.length; index++) {
    const { space, body } = shownToken(tokens, index)
    const text = cutText(body)
    const width = Math.max(MIN_COLUMN, estimateTextWidth(text, TOKEN_SIZE) + 2 * PADDING)
    const gap = space !== '' || tokens[index].text === '' ? GAP_BETWEEN_WORDS : GAP_IN_WORD
    const row = rows.at(-1)
    if (row && used + gap + width <= right - left) {
      row.push({ index, text, left: 0, width, gap })
      used += gap + width
    } else {
      rows.push([{ index, text, left: 0, width, gap: 0 }])
      used = width
    }
  }
  return rows.map((row) => spread(row, { left, right }))
}

function spread(
  row: readonly (TokenColumn & { readonly gap: number })[],
  { left, right }: { readonly left: number; readonly right: number },
): TokenColumn[] {
  const gaps = row.reduce((sum, { gap }) => sum + gap, 0)
  const widths = row.reduce((sum, { width }) => sum + width, 0)
  const stretch = (right - left - gaps) / widths
  // A text too long for a row of its own is squeezed, never let out of the picture.
  const factor = stretch < 1 || stretch <= MAX_STRETCH ? stretch : 1
  let x = left
  return row.map(({ index, text, width, gap }) => {
    const column = { index, text, left: x + gap, width: width * factor }
    x = column.left + column.width
    return column
  })
}

function cutText(text: string): string {
  const graphemes = splitGraphemes(text)
  return graphemes.length <= MAX_CHARACTERS ? text : `${graphemes.slice(0, MAX_CHARACTERS - 1).join('')}…`
}
