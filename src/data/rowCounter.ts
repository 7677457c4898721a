// Counts the rows of a reading: a row that can't be used is an error, or is left out and reported.
import { ShallowDeepError } from '../errors.js'
import { MAX_REPORTED_ROWS, type BadRow, type ReadReport, type SkippedRow } from './examples.js'

/** A file, and what its rows are counted by. */
export interface RowSource {
  readonly path: string
  readonly unit: 'line' | 'row'
}

/** The error of a row that can't be used, code `data.bad-row`. */
export function badRowError({ path, unit }: RowSource, { line, column, reason }: BadRow): ShallowDeepError {
  const where = column === undefined ? '' : `, column "${column}"`
  return new ShallowDeepError({
    code: 'data.bad-row',
    message: `${path}, ${unit} ${line}${where}: ${reason}`,
    hint: 'correct the row, or leave such rows out with --skip-bad-rows',
    details: { path, line, column, reason },
  })
}

/** A report that is being written. */
export class RowCounter implements ReadReport {
  rows = 0
  numSkipped = 0
  readonly skipped: SkippedRow[] = []

  constructor(private readonly skipBadRows: boolean) {}

  /** Counts a row that can't be used; throws `data.bad-row` where none may be left out. */
  bad(source: RowSource, row: BadRow): void {
    if (!this.skipBadRows) throw badRowError(source, row)
    this.numSkipped++
    if (this.skipped.length < MAX_REPORTED_ROWS) this.skipped.push({ file: source.path, ...row })
  }
}
