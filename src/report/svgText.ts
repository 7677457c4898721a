// Lines of text in pictures that are drawn by hand, kept within the width that is there for them.
import { escapeXml } from './escape.js'
import { estimateTextWidth } from './textExtent.js'

/** Where and how a line of text stands; sizes in pixels. */
export interface TextStyle {
  readonly x: number
  /** The middle of the line. */
  readonly y: number
  readonly size: number
  /** Default: x is where the text begins. */
  readonly anchor?: 'middle'
  readonly weight?: number
  readonly fill?: string
  readonly opacity?: number
  readonly italic?: boolean
  /** A text that is estimated wider is set in a smaller size. */
  readonly maxWidth?: number
}

/** One line of text with its middle at y, as an SVG element; '' for none. */
export function drawText(text: string, style: TextStyle): string {
  if (text === '') return ''
  const { x, y, anchor, weight, fill, opacity, italic, maxWidth } = style
  const estimated = estimateTextWidth(text, style.size)
  const size =
    maxWidth !== undefined && estimated > maxWidth ? (style.size * maxWidth) / estimated : style.size
  const attributes = [
    `x="${round(x)}" y="${round(y)}" dy="0.35em" font-size="${round(size)}"`,
    ...(anchor ? [`text-anchor="${anchor}"`] : []),
    ...(weight ? [`font-weight="${weight}"`] : []),
    ...(fill ? [`fill="${fill}"`] : []),
    ...(opacity ? [`fill-opacity="${opacity}"`] : []),
    ...(italic ? ['font-style="italic"'] : []),
  ]
  return `<text ${attributes.join(' ')}>${escapeXml(text)}</text>`
}

/** A line of text cut with an ellipsis where it is estimated wider than `width`. */
export function fitText(text: string, width: number, size: number): string {
  if (estimateTextWidth(text, size) <= width) return text
  let cut = Array.from(text)
  while (cut.length > 0 && estimateTextWidth(`${cut.join('')}…`, size) > width) cut = cut.slice(0, -1)
  return `${cut.join('')}…`
}

/** At most two decimals, so that pictures stay small and the same everywhere. */
export function round(value: number): number {
  return Number(value.toFixed(2))
}
