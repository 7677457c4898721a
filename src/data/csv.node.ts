// Rows of CSV and TSV bytes (RFC 4180) through csv-parse, streamed in blocks of whole lines. Line numbers are counted
// here (csv-parse counts a CRLF inside quotes twice), and after a badly quoted row reading goes on behind it.
import { isUtf8 } from 'node:buffer'
import { CsvError, parse } from 'csv-parse/sync'
import type { BadRow } from './examples.js'

/** A row and the line on which it begins, or what is wrong with it. */
export type CsvRow =
  | { readonly line: number; readonly cells: readonly string[] }
  | { readonly fault: BadRow & { /** Cell at fault, from 0. */ readonly cell: number | undefined } }

const LINE_FEED = 10
const CARRIAGE_RETURN = 13
const QUOTE = 34

export interface CsvOptions {
  readonly delimiter: ',' | '\t'
  /** A row longer than this is taken for a quote that is never closed (default 16 MiB). */
  readonly maxRowBytes?: number
}

/**
 * All rows, the header among them; empty lines are none. Faults (bad quoting, invalid UTF-8) come in their place among
 * the rows.
 */
export async function* readCsvRows(
  chunks: AsyncIterable<Buffer>,
  options: CsvOptions,
): AsyncGenerator<CsvRow, void, undefined> {
  let position: Position = { rest: Buffer.alloc(0), line: 1 }
  let enough = 0
  const rows: CsvRow[] = []
  for await (const chunk of chunks) {
    const rest = Buffer.concat([position.rest, chunk])
    position = { rest, line: position.line }
    if (rest.length < enough) continue
    position = parseBlock(position, { ...options, isLast: false }, rows)
    // Doubling keeps the work linear while a long quoted cell is read again with each block.
    enough = 2 * position.rest.length
    yield* rows.splice(0)
  }
  parseBlock(position, { ...options, isLast: true }, rows)
  yield* rows
}

/** Bytes not parsed yet, and the line on which they begin. */
interface Position {
  readonly rest: Buffer
  readonly line: number
}

interface BlockOptions extends CsvOptions {
  readonly isLast: boolean
}

/** Appends the rows that are whole in `start.rest` and returns what is left. */
function parseBlock(start: Position, options: BlockOptions, rows: CsvRow[]): Position {
  const { maxRowBytes = 1 << 24 } = options
  const bytes = start.rest
  // The end of a block is cut at a line's end, so that neither a character nor a row end is cut in two.
  const block = options.isLast ? bytes : bytes.subarray(0, bytes.lastIndexOf(LINE_FEED) + 1)
  const isClean = isUtf8(block)
  let { line } = start
  let offset = 0
  const moveTo = (end: number) => {
    line += countLines(block, offset, end)
    offset = end
  }
  while (offset < block.length) {
    const { records, error } = parseRecords(block.subarray(offset), options.delimiter)
    const base = offset
    for (const { cells, end } of records) {
      moveTo(skipEmptyLines(block, offset))
      const isValid = isClean || isUtf8(block.subarray(offset, base + end))
      rows.push(isValid ? { line, cells } : { fault: encodingFault(line, cells) })
      moveTo(base + end)
    }
    if (error === undefined) {
      moveTo(block.length)
      break
    }
    moveTo(skipEmptyLines(block, offset))
    const isOpen = error.code === 'CSV_QUOTE_NOT_CLOSED'
    if (isOpen && !options.isLast && bytes.length - offset <= maxRowBytes) break
    const cell = Number(error.index)
    // csv-parse's byte count stands at the delimiter before the cell at fault.
    const cellStart = cell === 0 ? offset : base + Number(error.bytes) + 1
    const faultAt = error.code === 'CSV_INVALID_CLOSING_QUOTE' ? closingQuote(block, cellStart) : cellStart
    const faultLine = line + countLines(block, offset, faultAt)
    rows.push({ fault: { line: faultLine, column: undefined, cell, reason: quotingReason(error) } })
    // Reading goes on behind the line at fault. Of a quote that is never closed only its own line is given up: the rest
    // of the file would be lost with it.
    moveTo(lineEnd(block, faultAt))
  }
  return { rest: bytes.subarray(offset), line }
}

/** All records up to the first error, each with the byte after it. */
function parseRecords(bytes: Buffer, delimiter: string) {
  const records: { cells: string[]; end: number }[] = []
  try {
    parse(bytes, {
      delimiter,
      record_delimiter: ['\r\n', '\n'],
      relax_column_count: true,
      skip_empty_lines: true,
      on_record: (cells: string[], context) => {
        records.push({ cells, end: context.bytes })
        return null
      },
    })
    return { records, error: undefined }
  } catch (error) {
    if (error instanceof CsvError) return { records, error: error as CsvError & Record<string, unknown> }
    throw error
  }
}

function encodingFault(line: number, cells: readonly string[]) {
  const cell = cells.findIndex((text) => text.includes('\ufffd'))
  return { line, column: undefined, cell: cell < 0 ? undefined : cell, reason: 'not valid UTF-8' }
}

function quotingReason(error: CsvError): string {
  switch (error.code) {
    case 'CSV_QUOTE_NOT_CLOSED':
      return 'a quote is opened here and never closed'
    case 'CSV_INVALID_CLOSING_QUOTE':
      return 'text after a closing quote (a quote inside a quoted cell is written twice)'
    case 'INVALID_OPENING_QUOTE':
      return 'a quote in a cell that does not begin with one (quote the whole cell and write the quote twice)'
    default:
      return error.message
  }
}

/** Position of the quote that closes the quoted cell beginning at `start`. */
function closingQuote(bytes: Buffer, start: number): number {
  let at = bytes.indexOf(QUOTE, start + 1)
  while (bytes[at + 1] === QUOTE) at = bytes.indexOf(QUOTE, at + 2)
  return at
}

/** Position after the line feed that ends the line at `start`. */
function lineEnd(bytes: Buffer, start: number): number {
  const at = bytes.indexOf(LINE_FEED, start)
  return at < 0 ? bytes.length : at + 1
}

function skipEmptyLines(bytes: Buffer, start: number): number {
  let at = start
  for (;;) {
    if (bytes[at] === LINE_FEED) at += 1
    else if (bytes[at] === CARRIAGE_RETURN && bytes[at + 1] === LINE_FEED) at += 2
    else return at
  }
}

function countLines(bytes: Buffer, start: number, end: number): number {
  let count = 0
  for (let at = bytes.indexOf(LINE_FEED, start); at >= 0 && at < end; at = bytes.indexOf(LINE_FEED, at + 1))
    count++
  return count
}
