// Reads a data file of any supported format as a stream of examples, with a report of the rows left out.
import { resolve } from 'node:path'
import { ShallowDeepError, suggestNearest } from '../errors.js'
import { readCsvRows } from './csv.node.js'
import type { Example, ReadReport, SkippedRow } from './examples.js'
import {
  exampleOf,
  findColumns,
  missingKey,
  resolveFields,
  type FieldOptions,
  type Fields,
} from './fields.js'
import { readJsonRows } from './jsonl.node.js'
import { openBytes } from './openBytes.node.js'
import { badRowError, RowCounter } from './rowCounter.js'
import { readSquad } from './squad.node.js'

export interface ReadOptions extends FieldOptions {
  /** Leave out and count rows that can't be used, instead of throwing at the first (default false). */
  readonly skipBadRows?: boolean
  /** Read this many examples at most (default: all). */
  readonly limit?: number
}

/** Examples in the order of the file, to be taken once; the report grows with them. */
export interface ExampleStream extends AsyncIterable<Example> {
  readonly report: ReadReport
}

type Row = Example | { readonly fault: SkippedRow }

/** Readers by file name ending (without `.gz`). */
const READERS: Readonly<Record<string, (path: string, fields: Fields) => AsyncIterable<Row>>> = {
  '.csv': (path, fields) => csvExamples(path, ',', fields),
  '.tsv': (path, fields) => csvExamples(path, '\t', fields),
  '.jsonl': jsonExamples,
  '.ndjson': jsonExamples,
  '.json': readSquad,
}

/**
 * Streams the examples of a CSV, TSV, JSON lines or SQuAD file (.json; columns play no part), plain or gzipped. Nothing
 * is opened before the first example is asked for. Throws `data.unknown-format` at once, and while reading `data.bad-row`, `data.missing-column`,
 * `data.duplicate-column`, `data.no-examples`, `data.bad-squad` and the errors of opening (`data.missing-file`, `data.unreadable-file`,
 * `data.bad-gzip`, `data.not-utf8`).
 */
export function readExamples(path: string, options: ReadOptions = {}): ExampleStream {
  const { skipBadRows = false, limit = Infinity } = options
  const rows = readerOf(path)(path, resolveFields(options))
  const report = new RowCounter(path, skipBadRows)
  const examples = countedExamples(rows, { path, report, limit })
  return { report, [Symbol.asyncIterator]: () => examples }
}

/** Reads all examples into an array. Throws what {@link readExamples} throws. */
export async function readAllExamples(
  path: string,
  options: ReadOptions = {},
): Promise<{ readonly examples: Example[]; readonly report: ReadReport }> {
  const stream = readExamples(path, options)
  const examples: Example[] = []
  for await (const example of stream) examples.push(example)
  return { examples, report: stream.report }
}

async function* countedExamples(
  rows: AsyncIterable<Row>,
  options: { readonly path: string; readonly report: RowCounter; readonly limit: number },
): AsyncGenerator<Example, void, undefined> {
  const { path, report, limit } = options
  if (limit <= 0) return
  for await (const row of rows) {
    if ('fault' in row) {
      report.bad(row.fault)
      continue
    }
    report.rows++
    yield row
    if (report.rows >= limit) return
  }
  if (report.rows > 0) return
  const first = report.skipped.at(0)
  throw new ShallowDeepError({
    code: 'data.no-examples',
    message:
      first === undefined
        ? `${path}: the file has no rows`
        : `${path}: none of the ${report.numSkipped} rows can be used; line ${first.line}: ${first.reason}`,
    hint: 'check the file and the names of its columns',
    details: { path, numSkipped: report.numSkipped },
  })
}

async function* csvExamples(path: string, delimiter: ',' | '\t', fields: Fields): AsyncGenerator<Row> {
  let header: readonly string[] | undefined
  let places: ReadonlyMap<string, number> = new Map()
  for await (const row of readCsvRows(openBytes(path), { delimiter })) {
    if (header === undefined) {
      // Without its header a file can't be read at all, so that is never a row to skip.
      if ('fault' in row) throw badRowError(path, row.fault)
      header = row.cells
      places = findColumns(path, header, fields)
    } else if ('fault' in row) {
      const { line, cell, reason } = row.fault
      yield { fault: { line, column: cell === undefined ? undefined : header[cell], reason } }
    } else {
      const { line, cells } = row
      yield cells.length === header.length
        ? exampleOrFault(line, fields, (column) => cells[places.get(column)!])
        : { fault: { line, column: undefined, reason: cellCountReason(header.length, cells.length) } }
    }
  }
}

async function* jsonExamples(path: string, fields: Fields): AsyncGenerator<Row> {
  for await (const row of readJsonRows(openBytes(path))) {
    if ('fault' in row) {
      yield row
      continue
    }
    const { line, fields: values } = row
    const missing = missingKey(Object.keys(values), fields)
    yield missing === undefined
      ? exampleOrFault(line, fields, (column) => values[column])
      : { fault: { line, ...missing } }
  }
}

function exampleOrFault(line: number, fields: Fields, get: (column: string) => unknown): Row {
  const result = exampleOf(fields, get)
  return 'example' in result ? result.example : { fault: { line, ...result.problem } }
}

function cellCountReason(expected: number, got: number): string {
  return `expected ${expected} cells as in the header, got ${got}`
}

function readerOf(path: string) {
  const name = path.toLowerCase().replace(/\.gz$/, '')
  const ending = /\.[^./\\]+$/.exec(name)?.[0] ?? ''
  if (Object.hasOwn(READERS, ending)) return READERS[ending]
  const near = suggestNearest(ending, Object.keys(READERS))
  throw new ShallowDeepError({
    code: 'data.unknown-format',
    message:
      `${resolve(path)}: expected a file that ends in ${Object.keys(READERS).join(', ')} (or one of these and .gz), ` +
      (ending === ''
        ? 'this name has no ending'
        : `got "${ending}"${near === undefined ? '' : `; did you mean ${near}?`}`),
    hint: 'rename the file after its format',
    details: { path, ending },
  })
}
