// Any table as plain text for a terminal. Lines are never broken: columns that do not fit a narrow terminal go into further
// blocks below, each with the names of the rows. What the columns of which table are: its own file.
import pc from 'picocolors'
import { cutToWidth, displayWidth, padToWidth } from './displayWidth.js'
import { escapeTerminal } from './escape.js'

/** A terminal narrower than this counts as this wide. */
export const MIN_WIDTH = 24

const MIN_LABEL_WIDTH = 6
const MAX_LABEL_WIDTH = 28
const MAX_HEADER_WIDTH = 10

/** One column: texts without colours, one a row. */
export interface TextColumn {
  /** Two short lines; the first may be empty. */
  readonly header: readonly [string, string]
  readonly align: 'left' | 'right'
  readonly cells: readonly string[]
}

/** A table, and the terminal that it is for. */
export interface TextTable {
  /** Names of the rows, repeated in each block. A mark stays where the name before it is cut. */
  readonly label: TextColumn & { readonly marks?: readonly string[] }
  /** At least one. */
  readonly columns: readonly TextColumn[]
  /** Columns of the terminal, {@link MIN_WIDTH} at least. */
  readonly width: number
  /** Default false. */
  readonly colour?: boolean
  /** Colours a row's line, whatever stands in it. Neutral: undefined, none. */
  readonly paintRow?: (line: string, row: number) => string
}

/** A column with its texts, none wider than `width`. */
interface SizedColumn extends TextColumn {
  readonly width: number
}

/** The lines of a table; none is wider than the terminal. */
export function textTable({ label, columns, width, colour = false, paintRow }: TextTable): string[] {
  const colours = pc.createColors(colour)
  const sized = columns.map((column) =>
    withWidth({ ...column, header: mapHeader(column.header, (line) => cutToWidth(line, MAX_HEADER_WIDTH)) }),
  )
  // A block holds the label and one column at least.
  const widest = Math.max(...sized.map((column) => column.width))
  const room = Math.max(MIN_LABEL_WIDTH, Math.min(MAX_LABEL_WIDTH, width - 2 - widest))
  const lines: string[] = []
  for (const { shown, gap } of splitIntoBlocks(labelColumn(label, room), sized, width)) {
    if (lines.length > 0) lines.push('')
    const join = (texts: readonly string[]) =>
      texts.map((text, k) => padToWidth(text, shown[k].width, shown[k].align)).join(gap)
    const heads = [0, 1].map((k) => join(shown.map(({ header }) => header[k])).trimEnd())
    lines.push(...heads.filter((head) => head !== '').map((head) => colours.bold(head)))
    lines.push(colours.dim('─'.repeat(widthOf(shown, gap))))
    for (let row = 0; row < label.cells.length; row++) {
      const line = join(shown.map(({ cells }) => cells[row]))
      lines.push(paintRow ? paintRow(line, row) : line)
    }
  }
  return lines
}

function labelColumn({ header, align, cells, marks }: TextTable['label'], maxWidth: number): SizedColumn {
  const cut = cells.map((cell, row) => {
    const mark = marks?.[row] ?? ''
    return cutToWidth(escapeTerminal(cell), maxWidth - mark.length) + mark
  })
  return withWidth({ header, align, cells: cut })
}

function withWidth(column: TextColumn): SizedColumn {
  const header = mapHeader(column.header, escapeTerminal)
  return { ...column, header, width: Math.max(...[...header, ...column.cells].map(displayWidth)) }
}

function mapHeader(
  [first, second]: TextColumn['header'],
  change: (line: string) => string,
): TextColumn['header'] {
  return [change(first), change(second)]
}

function widthOf(columns: readonly SizedColumn[], gap: string): number {
  return columns.reduce((sum, column) => sum + column.width + gap.length, -gap.length)
}

interface Block {
  readonly shown: readonly SizedColumn[]
  readonly gap: string
}

/** All in one block if need be with narrower gaps, else in about equal blocks that fit. */
function splitIntoBlocks(label: SizedColumn, columns: readonly SizedColumn[], width: number): Block[] {
  for (const gap of ['   ', '  ', ' ']) {
    const shown = [label, ...columns]
    if (widthOf(shown, gap) <= width) return [{ shown, gap }]
  }
  const numBlocks = packBlocks(label, columns, { width, maxColumns: columns.length }).length
  return packBlocks(label, columns, { width, maxColumns: Math.ceil(columns.length / numBlocks) })
}

function packBlocks(
  label: SizedColumn,
  columns: readonly SizedColumn[],
  { width, maxColumns }: { readonly width: number; readonly maxColumns: number },
): Block[] {
  const gap = '  '
  const blocks: { shown: SizedColumn[]; gap: string }[] = []
  for (const column of columns) {
    const last = blocks.at(-1)
    const hasRoom = last && last.shown.length <= maxColumns && widthOf([...last.shown, column], gap) <= width
    if (hasRoom) last.shown.push(column)
    else blocks.push({ shown: [label, column], gap })
  }
  return blocks
}
