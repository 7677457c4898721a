// One output on a terminal, each token by its exit: coloured where colours are on, else with brackets around the deep
// tokens. Wraps at the terminal's width, at spaces where it can.
import pc from 'picocolors'
import type { OutputToken } from '../evaluation/index.js'
import type { DecodedOutput } from './decodedOutput.js'
import { countShallow, shownToken } from './decodedOutput.js'
import { displayWidth, splitGraphemes, takeColumns, wrapText } from './displayWidth.js'
import { escapeTerminal } from './escape.js'
import { formatCount, formatShare } from './format.js'

/** How to show tokens on a terminal. */
export interface TokenViewOptions {
  /** Columns of the terminal; default 80, less than 12 counts as 12. */
  readonly width?: number
  /** Default false: brackets around deep tokens. */
  readonly colour?: boolean
  /** Columns left free at the left; default 0. */
  readonly indent?: number
}

const MIN_WIDTH = 12

type Style = (token: Pick<OutputToken, 'exit'>, text: string) => string

function styleOf(colour: boolean): Style {
  const colours = pc.createColors(colour)
  if (!colour) return ({ exit }, text) => (exit === 'deep' ? `[${text}]` : text)
  return ({ exit }, text) => (exit === 'deep' ? colours.bold(colours.yellow(text)) : colours.cyan(text))
}

/**
 * One token's text in the colour of its exit (cyan shallow, bold yellow deep), or a deep one in brackets: for streams, in
 * which nothing is wrapped. Space before it stays outside; control characters become visible; '' stays ''.
 */
export function styleToken(token: Pick<OutputToken, 'text' | 'exit'>, colour: boolean): string {
  const body = token.text.trimStart()
  if (body === '') return token.text
  return token.text.slice(0, token.text.length - body.length) + styleOf(colour)(token, escapeTerminal(body))
}

/** What the colours or brackets of {@link tokenView} mean, on one line, with the layers of the exits seen. */
export function exitLegend(
  tokens: readonly OutputToken[],
  options: Pick<TokenViewOptions, 'colour'> = {},
): string {
  const style = styleOf(options.colour ?? false)
  const describe = (exit: OutputToken['exit']) => {
    const layers = [
      ...new Set(tokens.filter((token) => token.exit === exit).map(({ exitLayer }) => exitLayer)),
    ]
    layers.sort((a, b) => a - b)
    const suffix = layers.length === 0 ? '' : ` (layer ${layers.join(', ')})`
    return style({ exit }, `${exit} exit`) + suffix
  }
  return `${describe('shallow')}  ${describe('deep')}`
}

/**
 * An output with each token by its exit, and below it how many exited shallow; lines of at most the terminal's width,
 * without a line feed at the end. The end of sequence is shown as `⏎`, other tokens without text as `∅`.
 */
export function tokenView({ tokens }: Pick<DecodedOutput, 'tokens'>, options: TokenViewOptions = {}): string {
  const width = Math.max(MIN_WIDTH, options.width ?? 80)
  const indent = ' '.repeat(Math.min(options.indent ?? 0, width - MIN_WIDTH))
  const room = width - indent.length
  const numShallow = countShallow(tokens)
  const share = formatShare(tokens.length === 0 ? null : numShallow / tokens.length, 0)
  const summary = `${numShallow} of ${formatCount(tokens.length, 'token')} exited shallow (${share})`
  const colours = pc.createColors(options.colour ?? false)
  const lines = [
    ...wrapTokens(tokens, room, options.colour ?? false),
    ...wrapText(summary, room).map((line) => colours.dim(line)),
  ]
  return lines.map((line) => indent + line).join('\n')
}

/** A token or a part of one, never broken further. */
interface Piece {
  readonly token: OutputToken
  readonly text: string
}

function wrapTokens(tokens: readonly OutputToken[], width: number, colour: boolean): string[] {
  const style = styleOf(colour)
  const frame = (token: OutputToken) => (!colour && token.exit === 'deep' ? 2 : 0)
  const widthOf = (pieces: readonly Piece[]) =>
    pieces.reduce((sum, { token, text }) => sum + displayWidth(text) + frame(token), 0)
  const paint = (pieces: readonly Piece[]) => pieces.map(({ token, text }) => style(token, text)).join('')

  const lines: string[] = []
  let line = ''
  let used = 0
  const breakLine = () => {
    lines.push(line)
    line = ''
    used = 0
  }
  for (const { space, pieces } of wordsOf(tokens)) {
    const gap = used === 0 ? 0 : space
    const wordWidth = widthOf(pieces)
    if (used + gap + wordWidth <= width) {
      line += ' '.repeat(gap) + paint(pieces)
      used += gap + wordWidth
      continue
    }
    if (used > 0) breakLine()
    for (const piece of pieces.flatMap((p) => splitPiece(p, width - frame(p.token)))) {
      if (used + widthOf([piece]) > width) breakLine()
      line += paint([piece])
      used += widthOf([piece])
    }
  }
  if (used > 0) lines.push(line)
  return lines
}

/** Tokens that belong to one word, and the spaces before it. */
function wordsOf(tokens: readonly OutputToken[]): { space: number; pieces: Piece[] }[] {
  const words: { space: number; pieces: Piece[] }[] = []
  for (const [i, token] of tokens.entries()) {
    const { space, body } = shownToken(tokens, i)
    const isEnd = token.text === '' && i === tokens.length - 1
    const isBreak = isEnd || space !== '' || (token.text !== '' && token.text.trim() === '')
    const piece = { token, text: escapeTerminal(body) }
    if (words.length === 0 || isBreak) {
      words.push({ space: isEnd || space !== '' ? 1 : 0, pieces: [piece] })
    } else {
      words[words.length - 1].pieces.push(piece)
    }
  }
  return words
}

/** A piece in parts of at most `width` columns, one grapheme at least. */
function splitPiece({ token, text }: Piece, width: number): Piece[] {
  const parts: Piece[] = []
  let rest = splitGraphemes(text)
  while (rest.length > 0) {
    const taken = Math.max(1, takeColumns(rest, width).length)
    parts.push({ token, text: rest.slice(0, taken).join('') })
    rest = rest.slice(taken)
  }
  return parts
}
