// Tables of results as plain text for a terminal (laid out by textTable.ts) and as Markdown.
import pc from 'picocolors'
import type { EvaluationResult } from '../evaluation/index.js'
import { wrapText } from './displayWidth.js'
import { escapeMarkdown } from './escape.js'
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
import { MIN_WIDTH, textTable, type TextColumn } from './textTable.js'

/** How to lay out a table for a terminal. */
export interface TableOptions {
  /** Columns of the terminal; default 80, less than 24 counts as 24. */
  readonly width?: number
  /** Default false. */
  readonly colour?: boolean
  /** Names of the metrics to show; default the first. */
  readonly metrics?: readonly string[]
}

/**
 * A table of results, without a line feed at its end; no line is wider than the terminal. The best fixed threshold has a
 * star, which a line below explains. Throws `report.no-rows`.
 */
export function resultTable(results: ReportedResults, options: TableOptions = {}): string {
  const { rows, bestFixed } = results
  requireRows(rows)
  const width = Math.max(MIN_WIDTH, options.width ?? 80)
  const colour = options.colour ?? false
  const colours = pc.createColors(colour)
  const metrics = options.metrics ?? metricsOf(rows).slice(0, 1)
  const toText = (column: ResultColumn): TextColumn => ({
    header: column.header,
    align: column.align,
    cells: rows.map((row) => column.cell(row)),
  })
  const lines = textTable({
    label: {
      ...toText(policyColumn),
      marks: rows.map((row) => (isSameSetting(row, bestFixed) ? ` ${BEST_FIXED_MARK}` : '')),
    },
    columns: resultColumns(metrics).map(toText),
    width,
    colour,
    paintRow: (line, row) => paintRow(rows[row], line, { results, colours }),
  })
  if (rows.some((row) => isSameSetting(row, bestFixed))) {
    lines.push(...wrapText(bestFixedNote(rows), width, '  ').map((line) => colours.dim(line)))
  }
  return lines.join('\n')
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
