// Tables of results as plain text for a terminal and as Markdown. Lines are never broken: columns that do not fit a
// narrow terminal go into further blocks below, each with the names of the rows.
import pc from 'picocolors'
import type { EvaluationResult } from '../evaluation/index.js'
import { cutToWidth, displayWidth, padToWidth, wrapText } from './displayWidth.js'
import { escapeMarkdown, escapeTerminal } from './escape.js'
import type { ResultColumn } from './resultColumns.js'
import { policyColumn, resultColumns } from './resultColumns.js'
import type { ReportedResults } from './resultRow.js'
import {
  BEST_FIXED_MARK,
  bestFixedNote,
  isSameSetting,
  metricsOf,
  requireRows,
  rowKind,
} from './resultRow.js'

/** How to lay out a table for a terminal. */
export interface TableOptions {
  /** Columns of the terminal; default 80, less than 24 counts as 24. */
  readonly width?: number
  /** Default false. */
  readonly colour?: boolean
  /** Names of the metrics to show; default the first. */
  readonly metrics?: readonly string[]
}

const MIN_WIDTH = 24
const MIN_LABEL_WIDTH = 6
const MAX_LABEL_WIDTH = 28

/** A column with its texts, none wider than `width`. */
interface TextColumn {
  readonly header: readonly string[]
  readonly align: 'left' | 'right'
  readonly cells: readonly string[]
  readonly width: number
}

/**
 * A table of results, without a line feed at its end; no line is wider than the terminal. The best fixed threshold has a
 * star, which a line below explains. Throws `report.no-rows`.
 */
export function resultTable(results: ReportedResults, options: TableOptions = {}): string {
  const { rows, bestFixed } = results
  requireRows(rows)
  const width = Math.max(MIN_WIDTH, options.width ?? 80)
  const colours = pc.createColors(options.colour ?? false)
  const metrics = options.metrics ?? metricsOf(rows).slice(0, 1)
  const columns = resultColumns(metrics).map((column) => textColumn(column, rows))
  // A block holds the label and one column at least.
  const widest = Math.max(...columns.map((column) => column.width))
  const label = labelColumn(results, Math.max(MIN_LABEL_WIDTH, Math.min(MAX_LABEL_WIDTH, width - 2 - widest)))

  const lines: string[] = []
  for (const { shown, gap } of splitIntoBlocks(label, columns, width)) {
    if (lines.length > 0) lines.push('')
    const join = (texts: readonly string[]) =>
      texts.map((text, k) => padToWidth(text, shown[k].width, shown[k].align)).join(gap)
    const heads = [0, 1].map((k) => join(shown.map(({ header }) => header[k])).trimEnd())
    lines.push(...heads.filter((head) => head !== '').map((head) => colours.bold(head)))
    lines.push(colours.dim('─'.repeat(widthOf(shown, gap))))
    for (const [r, row] of rows.entries()) {
      lines.push(paintRow(row, join(shown.map(({ cells }) => cells[r])), { results, colours }))
    }
  }
  if (rows.some((row) => isSameSetting(row, bestFixed))) {
    lines.push(...wrapText(bestFixedNote(rows), width, '  ').map((line) => colours.dim(line)))
  }
  return lines.join('\n')
}

function labelColumn({ rows, bestFixed }: ReportedResults, maxWidth: number): TextColumn {
  const cells = rows.map((row) => {
    const star = isSameSetting(row, bestFixed) ? ` ${BEST_FIXED_MARK}` : ''
    return cutToWidth(escapeTerminal(policyColumn.cell(row)), maxWidth - star.length) + star
  })
  return withWidth({ header: policyColumn.header, align: policyColumn.align, cells })
}

function textColumn(column: ResultColumn, rows: readonly EvaluationResult[]): TextColumn {
  const { header, align } = column
  const cells = rows.map((row) => column.cell(row))
  return withWidth({ header: header.map((line) => cutToWidth(escapeTerminal(line), 10)), align, cells })
}

function withWidth(column: Omit<TextColumn, 'width'>): TextColumn {
  return { ...column, width: Math.max(...[...column.header, ...column.cells].map(displayWidth)) }
}

function widthOf(columns: readonly TextColumn[], gap: string): number {
  return columns.reduce((sum, column) => sum + column.width + gap.length, -gap.length)
}

interface Block {
  readonly shown: readonly TextColumn[]
  readonly gap: string
}

/** All in one block if need be with narrower gaps, else in about equal blocks that fit. */
function splitIntoBlocks(label: TextColumn, columns: readonly TextColumn[], width: number): Block[] {
  for (const gap of ['   ', '  ', ' ']) {
    const shown = [label, ...columns]
    if (widthOf(shown, gap) <= width) return [{ shown, gap }]
  }
  const numBlocks = packBlocks(label, columns, { width, maxColumns: columns.length }).length
  return packBlocks(label, columns, { width, maxColumns: Math.ceil(columns.length / numBlocks) })
}

function packBlocks(
  label: TextColumn,
  columns: readonly TextColumn[],
  { width, maxColumns }: { readonly width: number; readonly maxColumns: number },
): Block[] {
  const gap = '  '
  const blocks: { shown: TextColumn[]; gap: string }[] = []
  for (const column of columns) {
    const last = blocks.at(-1)
    const hasRoom = last && last.shown.length <= maxColumns && widthOf([...last.shown, column], gap) <= width
    if (hasRoom) last.shown.push(column)
    else blocks.push({ shown: [label, column], gap })
  }
  return blocks
}

function paintRow(
  row: EvaluationResult,
  line: string,
  {
    results,
    colours,
  }: { readonly results: ReportedResults; readonly colours: ReturnType<typeof pc.createColors> },
): string {
  if (isSameSetting(row, results.bestFixed)) return colours.bold(line)
  switch (rowKind(row)) {
    case 'full':
      return colours.dim(line)
    case 'adaptive':
      return colours.cyan(line)
    case 'lossless':
      return colours.green(line)
    default:
      return line
  }
}

/**
 * The same table for Markdown, all columns and all metrics by default, with a line feed at its end.
 * Throws `report.no-rows`.
 */
export function markdownTable(
  { rows, bestFixed }: ReportedResults,
  options: Pick<TableOptions, 'metrics'> = {},
): string {
  requireRows(rows)
  const columns = [policyColumn, ...resultColumns(options.metrics ?? metricsOf(rows))]
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const lines = [
    line(columns.map(({ title }) => escapeMarkdown(title))),
    line(columns.map(({ align }) => (align === 'left' ? ':---' : '---:'))),
    ...rows.map((row) => {
      const isBest = isSameSetting(row, bestFixed)
      const cells = columns.map((column) =>
        escapeMarkdown([column.cell(row), column.detail?.(row) ?? ''].join(' ').trim()),
      )
      return line(isBest ? cells.map((cell) => `**${cell}**`) : cells)
    }),
  ]
  return lines.join('\n') + '\n'
}
