// One table of figures in two forms: plain text for a terminal, and Markdown with what it was made by.
import { escapeMarkdown } from '../src/report/escape.js'
import { textTable, type TextColumn } from '../src/report/textTable.js'
import { describeMachine, type Machine } from './machine.js'

/** A column of rows of some kind. */
export interface BenchColumn<Row> {
  /** Two short lines for a terminal; the first may be empty. */
  readonly header: TextColumn['header']
  /** For Markdown. */
  readonly title: string
  readonly cell: (row: Row) => string
}

/** A table; all columns but the first are numbers. */
export interface BenchTable<Row> {
  readonly rows: readonly Row[]
  /** The first one names the row. */
  readonly columns: readonly BenchColumn<Row>[]
}

/** Lines of a table for a terminal, none wider than `width`. */
export function tableLines<Row>(
  { rows, columns: [label, ...columns] }: BenchTable<Row>,
  { width, colour }: { readonly width: number; readonly colour: boolean },
): string[] {
  const toText = ({ header, cell }: BenchColumn<Row>, align: TextColumn['align']): TextColumn => ({
    header,
    align,
    cells: rows.map(cell),
  })
  return textTable({
    label: toText(label, 'left'),
    columns: columns.map((column) => toText(column, 'right')),
    width,
    colour,
  })
}

/** The table as Markdown, without a line feed at its end. */
export function markdownLines<Row>({ rows, columns }: BenchTable<Row>): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [
    line(columns.map(({ title }) => escapeMarkdown(title))),
    line(columns.map((_, i) => (i === 0 ? ':---' : '---:'))),
    ...rows.map((row) => line(columns.map(({ cell }) => escapeMarkdown(cell(row))))),
  ].join('\n')
}

/** What figures were measured on and by, for below a table: no figure without the command that made it. */
export function provenance(machine: Machine, words: readonly string[], date = new Date()): string {
  const command = ['npm run bench --', ...words.map(quote)].join(' ')
  return `${escapeMarkdown(describeMachine(machine))}; ${date.toISOString().slice(0, 10)}; \`${command}\``
}

function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`
}
