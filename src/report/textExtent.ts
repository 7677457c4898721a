// Widths of text in pictures, estimated from letter classes: there is no font to ask where pictures are made. Rather too
// wide than too narrow, for what is laid out by them must not overlap in any common sans-serif font.
import { displayWidth, splitGraphemes } from './displayWidth.js'

/** Widths in em of characters that are far from the mean of a sans-serif face. */
const WIDTH_CLASSES: readonly (readonly [RegExp, number])[] = [
  [/^[ijl.,:;'|!·]/u, 0.3],
  [/^[ftr()[\]/\- "]/u, 0.38],
  [/^[mwMW%@—…→]/u, 0.9],
  [/^[A-HJ-LN-VX-Z&]/u, 0.7],
  [/^[0-9a-z–×]/u, 0.58],
]

/** Width in pixels of a text at a font size in pixels. */
export function estimateTextWidth(text: string, fontSize: number): number {
  return splitGraphemes(text).reduce((sum, grapheme) => sum + graphemeEm(grapheme), 0) * fontSize
}

function graphemeEm(grapheme: string): number {
  const known = WIDTH_CLASSES.find(([pattern]) => pattern.test(grapheme))
  if (known) return known[1]
  const columns = displayWidth(grapheme)
  return columns === 2 ? 1.05 : columns * 0.66
}
