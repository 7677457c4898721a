// A picture of how one output was decoded: each token a box at the height of its exit, the pending tokens that a deep pass
// took along under one bracket, and below each token its confidence against the threshold. Drawn by hand, without Vega.
import type { OutputToken } from '../evaluation/index.js'
import type { DecodedOutput, Flush } from './decodedOutput.js'
import { countShallow, flushesOf } from './decodedOutput.js'
import { escapeXml } from './escape.js'
import { formatCount, formatNumber, formatThreshold } from './format.js'
import { EXIT_COLOURS } from './palette.js'
import type { SvgTheme } from './svgDocument.js'
import { SVG_FONT, svgDocument } from './svgDocument.js'
import { drawText, fitText, round } from './svgText.js'
import { estimateTextWidth } from './textExtent.js'
import type { TokenColumn } from './tokenLayout.js'
import { layOutTokens, TOKEN_SIZE } from './tokenLayout.js'

/** How to draw an output. */
export interface TokenDiagramOptions {
  /** Pixels; default 800, at least 320. */
  readonly width?: number
  /** Default `auto`: a file of its own that follows the reader's scheme. */
  readonly theme?: SvgTheme
}

const MARGIN = 16
const GUTTER = 112
const HEADER_HEIGHT = 46
const FOOTER_HEIGHT = 40
const MIN_WIDTH = 320

// Heights within a row of tokens.
const BRACKET_TOP = 18
const BOX_HEIGHT = 32
const DEEP_TOP = 34
const SHALLOW_TOP = 122
const BARS_TOP = 170
const BARS_HEIGHT = 40
const ROW_HEIGHT = 236

const { shallow: SHALLOW, deep: DEEP } = EXIT_COLOURS

/** What all parts of one row's drawing read. */
interface Scene {
  readonly tokens: readonly OutputToken[]
  readonly threshold: number | null
  readonly left: number
  readonly right: number
}

/** The picture of an output as an SVG document. */
export function tokenDiagram(output: DecodedOutput, options: TokenDiagramOptions = {}): string {
  const width = Math.max(MIN_WIDTH, options.width ?? 800)
  const { tokens, source } = output
  const scene: Scene = {
    tokens,
    threshold: output.threshold ?? null,
    left: MARGIN + GUTTER,
    right: width - MARGIN,
  }
  const flushes = flushesOf(tokens)
  const rows = layOutTokens(tokens, { left: scene.left + 8, right: scene.right - 8 })
  const drawn = rows.map((row, i) => {
    const y = HEADER_HEIGHT + i * ROW_HEIGHT
    return `<g transform="translate(0,${y})">${drawRow(row, flushes, scene)}</g>`
  })
  const footerY = HEADER_HEIGHT + rows.length * ROW_HEIGHT + 10
  const summary = summarise(tokens, flushes)
  const drawing = [
    `<g font-family="${SVG_FONT}" fill="currentColor">`,
    drawText(fitText(source, width - 2 * MARGIN, 16), { x: MARGIN, y: 22, size: 16, italic: true }),
    ...drawn,
    drawText(fitText(summary, width - 2 * MARGIN, 14), { x: MARGIN, y: footerY, size: 14, opacity: 0.8 }),
    '</g>',
  ].join('')
  return svgDocument(drawing, {
    width,
    height: HEADER_HEIGHT + rows.length * ROW_HEIGHT + FOOTER_HEIGHT,
    theme: options.theme ?? 'auto',
    words: { title: `How “${output.text}” was decoded`, description: summary },
  })
}

/**
 * The picture at 800 pixels for each of the two schemes: a README shows the one that fits its reader through `<picture>`,
 * since its site's scheme need not be the system's.
 */
export function readmePicture(output: DecodedOutput): { readonly light: string; readonly dark: string } {
  return { light: tokenDiagram(output, { theme: 'light' }), dark: tokenDiagram(output, { theme: 'dark' }) }
}

/** The result in one sentence. */
function summarise(tokens: readonly OutputToken[], flushes: readonly Flush[]): string {
  const shallowLayer = layerOf(tokens, 'shallow')
  const numShallow = countShallow(tokens)
  const after = shallowLayer === null ? 'the shallow layers' : `layer ${shallowLayer}`
  const passes =
    flushes.length === 0
      ? 'the deeper layers never ran'
      : `the deeper layers ran ${nameTimes(flushes.length)}, not ${nameTimes(tokens.length)}`
  return `${formatNumber(numShallow)} of ${formatCount(tokens.length, 'token')} left after ${after}; ${passes}.`
}

function nameTimes(count: number): string {
  return count === 1 ? 'once' : count === 2 ? 'twice' : `${formatNumber(count)} times`
}

function layerOf(tokens: readonly OutputToken[], exit: OutputToken['exit']): number | null {
  return tokens.find((token) => token.exit === exit)?.exitLayer ?? null
}

function drawRow(columns: readonly TokenColumn[], flushes: readonly Flush[], scene: Scene): string {
  const { tokens, left, right, threshold } = scene
  const lane = (top: number) =>
    `<rect x="${left}" y="${top - 6}" width="${round(right - left)}" height="${BOX_HEIGHT + 12}" rx="8" fill-opacity="0.05"/>`
  const parts = [
    lane(DEEP_TOP),
    lane(SHALLOW_TOP),
    drawLaneLabel('deep exit', afterLayer(tokens, 'deep'), { y: DEEP_TOP + BOX_HEIGHT / 2, colour: DEEP }),
    drawLaneLabel('shallow exit', afterLayer(tokens, 'shallow'), {
      y: SHALLOW_TOP + BOX_HEIGHT / 2,
      colour: SHALLOW,
    }),
    drawLaneLabel('confidence', threshold === null ? '' : `threshold ${formatThreshold(threshold)}`, {
      y: BARS_TOP + BARS_HEIGHT / 2,
    }),
    ...drawFlushes(columns, flushes, scene),
    ...columns.map((column) => drawToken(column, flushes, scene)),
  ]
  if (threshold !== null) {
    const y = round(BARS_TOP + BARS_HEIGHT * (1 - threshold))
    parts.push(
      `<line x1="${left}" y1="${y}" x2="${right}" y2="${y}" stroke="currentColor" stroke-width="1.5" stroke-dasharray="5 4"/>`,
    )
  }
  return parts.join('')
}

function afterLayer(tokens: readonly OutputToken[], exit: OutputToken['exit']): string {
  const layer = layerOf(tokens, exit)
  return layer === null ? 'no token' : `after layer ${layer}`
}

/** Brackets and bands of the deep passes, and of the tokens that never went deep, as far as they lie in this row. */
function drawFlushes(columns: readonly TokenColumn[], flushes: readonly Flush[], scene: Scene): string[] {
  const firstPending = (flushes.at(-1)?.last ?? -1) + 1
  const lastToken = scene.tokens.length - 1
  const rest = firstPending <= lastToken ? [{ first: firstPending, last: lastToken, isRest: true }] : []
  return [...flushes.map((flush) => ({ ...flush, isRest: false })), ...rest].flatMap(
    ({ first, last, isRest }) => {
      const inRow = columns.filter(({ index }) => index >= first && index <= last)
      if (inRow.length === 0) return []
      const x1 = inRow[0].left - 1
      const x2 = inRow[inRow.length - 1].left + inRow[inRow.length - 1].width + 1
      const size = last - first + 1
      const label = isRest
        ? firstFitting(x2 - x1, ['never needed the deep layers', 'never went deep', 'pending'])
        : firstFitting(x2 - x1, [
            `one deep pass over ${formatCount(size, 'position')}`,
            `pass over ${formatCount(size, 'position')}`,
            formatCount(size, 'position'),
            String(size),
          ])
      const bracket = drawBracket({
        x1,
        x2,
        opensLeft: inRow[0].index > first,
        opensRight: inRow.at(-1)!.index < last,
      })
      const colour = isRest ? 'currentColor' : DEEP
      const style = isRest ? ' stroke-dasharray="2 3" stroke-opacity="0.6"' : ''
      const band = isRest
        ? ''
        : `<rect x="${round(x1)}" y="${DEEP_TOP - 4}" width="${round(x2 - x1)}" height="${BOX_HEIGHT + 8}" rx="8" fill="${DEEP}" fill-opacity="0.16"/>`
      return [
        `${band}<path d="${bracket}" fill="none" stroke="${colour}" stroke-width="1.5"${style}/>`,
        drawText(label, { x: (x1 + x2) / 2, y: 8, size: 11.5, anchor: 'middle', opacity: 0.85 }),
      ]
    },
  )
}

/** Open at an end where the bracket goes on in another row. */
function drawBracket({
  x1,
  x2,
  opensLeft,
  opensRight,
}: {
  readonly x1: number
  readonly x2: number
  readonly opensLeft: boolean
  readonly opensRight: boolean
}): string {
  const bottom = BRACKET_TOP + 8
  const start = opensLeft ? `M${round(x1)} ${BRACKET_TOP}` : `M${round(x1)} ${bottom}v-4q0 -4 4 -4`
  return opensRight ? `${start}H${round(x2)}` : `${start}H${round(x2 - 4)}q4 0 4 4v4`
}

function drawToken(
  { index, text, left, width }: TokenColumn,
  flushes: readonly Flush[],
  scene: Scene,
): string {
  const token = scene.tokens[index]
  const middle = round(left + width / 2)
  const isFlushed = flushes.some(({ first, last }) => index >= first && index <= last)
  const isDeep = token.exit === 'deep'
  const colour = EXIT_COLOURS[token.exit]
  const top = isDeep ? DEEP_TOP : SHALLOW_TOP
  const confidence = token.confidence === null ? '' : `, confidence ${formatNumber(token.confidence, 2)}`
  const name = `${text}: ${token.exit} exit, layer ${token.exitLayer}${confidence}`
  const box = (y: number, attributes: string) =>
    `<rect x="${round(left)}" y="${y}" width="${round(width)}" height="${BOX_HEIGHT}" rx="6" ${attributes}/>`
  const parts = [`<title>${escapeXml(name)}</title>`]
  if (isFlushed) {
    // From the shallow exit up to the deep one: solid where the token waited for it, dotted where it came along.
    const dash = isDeep ? '' : ' stroke-dasharray="2 4" stroke-linecap="round"'
    parts.push(
      `<path d="M${middle} ${SHALLOW_TOP}V${DEEP_TOP + BOX_HEIGHT}" fill="none" stroke="${colour}" stroke-width="2"${dash}/>`,
    )
  }
  if (isDeep) {
    parts.push(
      box(SHALLOW_TOP, `fill="none" stroke="${colour}" stroke-width="1.5"`),
      drawText('unsure', {
        x: middle,
        y: SHALLOW_TOP + BOX_HEIGHT / 2,
        size: 11,
        anchor: 'middle',
        opacity: 0.75,
        maxWidth: width - 4,
      }),
    )
  } else if (isFlushed) {
    parts.push(box(DEEP_TOP, `fill="none" stroke="${colour}" stroke-width="1.5" stroke-dasharray="3 3"`))
  }
  parts.push(
    box(top, `fill="${colour}"`),
    drawText(text, {
      x: middle,
      y: top + BOX_HEIGHT / 2,
      size: TOKEN_SIZE,
      anchor: 'middle',
      weight: 600,
      fill: '#ffffff',
      maxWidth: width - 6,
    }),
  )
  parts.push(drawBar(token, { middle, width: Math.min(24, width - 8) }))
  return `<g>${parts.join('')}</g>`
}

function drawBar(
  { confidence, exit }: OutputToken,
  { middle, width }: { readonly middle: number; readonly width: number },
): string {
  const bar = (height: number, attributes: string) =>
    `<rect x="${round(middle - width / 2)}" y="${round(BARS_TOP + BARS_HEIGHT - height)}" width="${round(width)}" height="${round(height)}" rx="2" ${attributes}/>`
  const track = bar(BARS_HEIGHT, 'fill-opacity="0.08"')
  if (confidence === null) return track
  const value = drawText(formatNumber(confidence, 2), {
    x: middle,
    y: BARS_TOP + BARS_HEIGHT + 11,
    size: 10.5,
    anchor: 'middle',
    opacity: 0.75,
  })
  return track + bar(confidence * BARS_HEIGHT, `fill="${EXIT_COLOURS[exit]}"`) + value
}

function drawLaneLabel(
  name: string,
  detail: string,
  { y, colour }: { readonly y: number; readonly colour?: string },
): string {
  const swatch = colour
    ? `<rect x="${MARGIN}" y="${y - 14}" width="4" height="28" rx="2" fill="${colour}"/>`
    : `<rect x="${MARGIN}" y="${y - 14}" width="4" height="28" rx="2" fill-opacity="0.35"/>`
  return (
    swatch +
    drawText(name, { x: MARGIN + 12, y: y - 8, size: 13, weight: 600 }) +
    drawText(detail, { x: MARGIN + 12, y: y + 8, size: 11.5, opacity: 0.75 })
  )
}

/** The first of some wordings that fits a width; the last where none does. */
function firstFitting(width: number, wordings: readonly string[]): string {
  return wordings.find((text) => estimateTextWidth(text, 11.5) <= width) ?? wordings[wordings.length - 1]
}
