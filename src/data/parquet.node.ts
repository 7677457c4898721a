// Rows of a Parquet file through hyparquet, a row group at a time. Texts are read from text columns, references also from
// columns that are lists of text. hyparquet is loaded when the first file is opened.
import type { AsyncBuffer, FileMetaData, SchemaTree } from 'hyparquet'
import { resolve } from 'node:path'
import { stat } from 'node:fs/promises'
import { ShallowDeepError } from '../errors.js'

/** A Parquet file that has been opened. */
export interface ParquetFile {
  /** The names of its columns. */
  readonly columns: readonly string[]
  /** Those of them whose cells are lists. */
  readonly listColumns: ReadonlySet<string>
  /**
   * All rows, with the columns that are named; at most one row group is in memory. Throws `data.column-type` for a column
   * that is neither of one type nor a list of one, and `data.bad-parquet`.
   */
  rows(columns: readonly string[]): AsyncIterable<ParquetRow>
}

export interface ParquetRow {
  /** Place in the file, from 1. */
  readonly row: number
  readonly values: Readonly<Record<string, unknown>>
}

/**
 * Opens a Parquet file and reads its schema. Throws `data.missing-file`, `data.unreadable-file`, `data.bad-parquet` (damaged,
 * cut short, or something else).
 */
export async function openParquet(path: string): Promise<ParquetFile> {
  await requireFile(path)
  const { asyncBufferFromFile, parquetMetadataAsync, parquetSchema } = await import('hyparquet')
  try {
    const file = await asyncBufferFromFile(path)
    const metadata = await parquetMetadataAsync(file)
    const columns = parquetSchema(metadata).children
    const names: unknown[] = columns.map(({ element }) => element.name)
    if (!names.every((name) => typeof name === 'string')) throw new Error('a column has no name')
    return {
      columns: names,
      listColumns: new Set(columns.filter(isList).map(({ element }) => element.name)),
      rows: (wanted) => {
        const structure = columns.find(
          (column) => wanted.includes(column.element.name) && numLeaves(column) > 1,
        )
        if (structure) throw structureError(path, structure.element.name)
        return readRows({ path, file, metadata }, wanted)
      },
    }
  } catch (cause) {
    throw badParquet(path, cause)
  }
}

interface OpenFile {
  readonly path: string
  readonly file: AsyncBuffer
  readonly metadata: FileMetaData
}

async function* readRows(
  { path, file, metadata }: OpenFile,
  columns: readonly string[],
): AsyncGenerator<ParquetRow, void, undefined> {
  const [{ parquetReadObjects }, { compressors }] = await Promise.all([
    import('hyparquet'),
    import('hyparquet-compressors'),
  ])
  let rowStart = 0
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows)
    const cells: unknown[][] = []
    for (const column of columns) {
      // One column a call: of several, hyparquet leaves the errors of all but the first without a handler.
      const options = { file, metadata, compressors, columns: [column], rowStart, rowEnd }
      try {
        const rows: Readonly<Record<string, unknown>>[] = await parquetReadObjects(options)
        cells.push(rows.map((row) => row[column]))
      } catch (cause) {
        throw badParquet(path, cause)
      }
    }
    if (cells.some(({ length }) => length !== rowEnd - rowStart)) {
      throw badParquet(path, `expected ${rowEnd - rowStart} rows in each column of a row group`)
    }
    for (let i = 0; rowStart < rowEnd; i++) {
      rowStart++
      yield { row: rowStart, values: Object.fromEntries(columns.map((column, c) => [column, cells[c][i]])) }
    }
  }
}

/** A list in any of the forms that writers give it: repeated, or a group around a repeated field. */
function isList({ element, children }: SchemaTree): boolean {
  const isRepeated = ({ element: { repetition_type: repetition } }: SchemaTree) => repetition === 'REPEATED'
  return element.repetition_type === 'REPEATED' || (children.length === 1 && isRepeated(children[0]))
}

function numLeaves({ children }: SchemaTree): number {
  return children.length === 0 ? 1 : children.reduce((sum, child) => sum + numLeaves(child), 0)
}

function structureError(path: string, column: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'data.column-type',
    message: `${path}: column "${column}" is a structure, expected text or a list of text`,
    hint: 'write the part that is wanted into a column of its own',
    details: { path, column },
  })
}

async function requireFile(path: string): Promise<void> {
  const absolute = resolve(path)
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile()) return
  throw new ShallowDeepError({
    code: found ? 'data.unreadable-file' : 'data.missing-file',
    message: found ? `expected a Parquet file at ${absolute}, found a folder` : `no data file at ${absolute}`,
    hint: 'check the path; it is taken from the current folder',
    details: { path: absolute },
  })
}

function badParquet(path: string, cause: unknown): ShallowDeepError {
  const reason = (cause instanceof Error ? cause.message : String(cause)).replace(/\s+/g, ' ')
  return new ShallowDeepError({
    code: 'data.bad-parquet',
    message: `${path}: cannot be read as Parquet: ${reason}`,
    hint: 'copy or download the file again',
    details: { path, reason },
    cause,
  })
}
