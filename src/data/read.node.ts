// Reads a data file of any supported format as a stream of examples, with a report of the rows left out.
import { resolve } from 'node:path'
import { ShallowDeepError, suggestNearest } from '../errors.js'
import { readCsvRows } from './csv.node.js'
import type { BadRow, Example, ReadReport } from './examples.js'
import {
  exampleOf,
  findColumns,
  missingKey,
  resolveFields,
  type FieldOptions,
  type Fields,
} from './fields.js'
import { readJsonRows } from './jsonl.node.js'
import { listDataFiles } from './listFiles.node.js'
import { openBytes } from './openBytes.node.js'
import { openParquet } from './parquet.node.js'
import { badRowError, RowCounter, type RowSource } from './rowCounter.js'
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

type Row = Example | { readonly fault: BadRow }

/** Readers by file name ending (without `.gz`). */
const READERS: Readonly<Record<string, (path: string, fields: Fields) => AsyncIterable<Row>>> = {
  '.csv': (path, fields) => csvExamples(path, ',', fields),
  '.tsv': (path, fields) => csvExamples(path, '\t', fields),
  '.jsonl': jsonExamples,
  '.ndjson': jsonExamples,
  '.json': readSquad,
  '.parquet': parquetExamples,
}

/**
 * Streams the examples of a CSV, TSV, JSON lines or SQuAD file (.json; columns play no part), plain or gzipped, of a Parquet
 * file, or of all such files of a folder or glob, by rising name. Nothing is opened before the first example is asked for.
 * Throws `data.unknown-format`, `data.no-files` and `data.mixed-formats` at once, and while reading `data.bad-row`,
 * `data.missing-column`, `data.duplicate-column`, `data.no-examples`, `data.bad-squad`, `data.bad-parquet` and the errors of
 * opening (`data.missing-file`, `data.unreadable-file`, `data.bad-gzip`, `data.not-utf8`).
 */
export function readExamples(path: string, options: ReadOptions = {}): ExampleStream {
  const { skipBadRows = false, limit = Infinity } = options
  const fields = resolveFields(options)
  const rows = listDataFiles(path, Object.keys(READERS), endingOf).map((file) => {
    return { source: sourceOf(file), rows: readerOf(file)(file, fields) }
  })
  const report = new RowCounter(skipBadRows)
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

interface FileRows {
  readonly source: RowSource
  readonly rows: AsyncIterable<Row>
}

async function* countedExamples(
  files: readonly FileRows[],
  options: { readonly path: string; readonly report: RowCounter; readonly limit: number },
): AsyncGenerator<Example, void, undefined> {
  const { path, report, limit } = options
  if (limit <= 0) return
  for (const { source, rows } of files) {
    for await (const row of rows) {
      if ('fault' in row) {
        report.bad(source, row.fault)
        continue
      }
      report.rows++
      yield row
      if (report.rows >= limit) return
    }
  }
  if (report.rows > 0) return
  const first = report.skipped.at(0)
  throw new ShallowDeepError({
    code: 'data.no-examples',
    message:
      first === undefined
        ? `${path}: ${files.length === 1 ? 'the file has' : `the ${files.length} files have`} no rows`
        : `${path}: none of the ${report.numSkipped} rows can be used; ${sourceOf(first.file).unit} ${first.line}: ${first.reason}`,
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
      if ('fault' in row) throw badRowError(sourceOf(path), row.fault)
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

async function* parquetExamples(path: string, fields: Fields): AsyncGenerator<Row> {
  const { columns, listColumns, rows } = await openParquet(path)
  const wanted = [...findColumns(path, columns, fields).keys()]
  for await (const { row, values } of rows(wanted)) {
    yield exampleOrFault(row, { ...fields, listColumns }, (column) => values[column])
  }
}

function exampleOrFault(line: number, fields: Fields, get: (column: string) => unknown): Row {
  const result = exampleOf(fields, get)
  return 'example' in result ? result.example : { fault: { line, ...result.problem } }
}

function cellCountReason(expected: number, got: number): string {
  return `expected ${expected} cells as in the header, got ${got}`
}

/** The ending that names a file's format: lower case, without `.gz`, which Parquet files do not have. */
function endingOf(path: string): string {
  const name = path.toLowerCase()
  const unpacked = name.replace(/(?<!\.parquet)\.gz$/, '')
  return /\.[^./\\]+$/.exec(unpacked)?.[0] ?? ''
}

function sourceOf(path: string): RowSource {
  return { path, unit: endingOf(path) === '.parquet' ? 'row' : 'line' }
}

function readerOf(path: string) {
  const ending = endingOf(path)
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
