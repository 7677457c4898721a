// From the cells or keys of a row to an example: which columns, how references are written, what makes a row unusable.
import { ShallowDeepError, suggestNearest } from '../errors.js'
import type { Example } from './examples.js'
import { labelledSource } from './tasks/index.js'

/** Which columns hold what. */
export interface FieldOptions {
  /**
   * Column of the source text (default `source`); several, separated by commas, are joined as `column: text`, so that
   * `question,context` gives T5's form of a question.
   */
  readonly sourceColumn?: string
  /** Column of the target; several, separated by commas, hold one reference each (default `target`). */
  readonly targetColumn?: string
  /** Target cells are JSON arrays of references; never guessed (default false). */
  readonly jsonReferences?: boolean
  /** False where only sources are wanted: the target columns need not exist (default true). */
  readonly hasTarget?: boolean
}

/** {@link FieldOptions} with defaults filled in. */
export interface Fields {
  readonly sources: readonly string[]
  /** Empty without targets. */
  readonly targets: readonly string[]
  readonly jsonReferences: boolean
  /** Columns that are lists of references by their type, as Parquet has them. */
  readonly listColumns: ReadonlySet<string>
}

/** An example, or which column makes the row unusable and why. */
export type FieldResult =
  { readonly example: Example } | { readonly problem: { readonly column: string; readonly reason: string } }

/** Fills in the defaults and splits the target columns. */
export function resolveFields(options: FieldOptions): Fields {
  const {
    sourceColumn = 'source',
    targetColumn = 'target',
    jsonReferences = false,
    hasTarget = true,
  } = options
  const names = (columns: string) => [...new Set(columns.split(',').map((name) => name.trim()))]
  return {
    sources: names(sourceColumn),
    targets: hasTarget ? names(targetColumn) : [],
    jsonReferences,
    listColumns: new Set(),
  }
}

/**
 * Finds the columns in a header. Throws `data.missing-column` (names those there are and the near miss) and
 * `data.duplicate-column`.
 */
export function findColumns(
  path: string,
  header: readonly string[],
  fields: Fields,
): ReadonlyMap<string, number> {
  const places = new Map<string, number>()
  for (const name of [...fields.sources, ...fields.targets]) {
    const place = header.indexOf(name)
    if (place < 0) throw missingColumn(path, name, header)
    if (header.lastIndexOf(name) !== place) {
      throw new ShallowDeepError({
        code: 'data.duplicate-column',
        message: `${path}: the header has the column "${name}" more than once`,
        hint: 'give each column a name of its own',
        details: { path, column: name, columns: header },
      })
    }
    places.set(name, place)
  }
  return places
}

/** What {@link findColumns} is for a single object: the reason to reject it where a key is missing. */
export function missingKey(
  keys: readonly string[],
  fields: Fields,
): { column: string; reason: string } | undefined {
  const column = [...fields.sources, ...fields.targets].find((name) => !keys.includes(name))
  if (column === undefined) return undefined
  return { column, reason: `no such key; the keys are ${listNames(column, keys)}` }
}

/** Makes an example of a row whose values `get` looks up by column. */
export function exampleOf(fields: Fields, get: (column: string) => unknown): FieldResult {
  const bad = (column: string, reason: string): FieldResult => ({ problem: { column, reason } })
  const parts: [string, string][] = []
  for (const column of fields.sources) {
    const text = get(column)
    if (typeof text !== 'string') return bad(column, expectedText(text))
    if (text.trim() === '') return bad(column, 'the source is empty')
    parts.push([column, text])
  }
  const source = parts.length === 1 ? parts[0][1] : labelledSource(parts)
  const targets: string[] = []
  for (const column of fields.targets) {
    const value = get(column)
    const isList = fields.jsonReferences || fields.listColumns.has(column)
    const read = isList ? referenceArray(value) : [value]
    if (typeof read === 'string') return bad(column, read)
    for (const target of read) {
      if (typeof target !== 'string') return bad(column, expectedText(target, isList))
      // One reference among several may be missing: sets differ in how many they give for a row.
      if (target.trim() !== '') targets.push(target)
      else if (isList || fields.targets.length === 1) return bad(column, 'the target is empty')
    }
  }
  if (targets.length === 0 && fields.targets.length > 0)
    return bad(fields.targets.join(','), 'the target is empty')
  return { example: { source, targets } }
}

/** The array of references, or what is wrong with it. */
function referenceArray(value: unknown): readonly unknown[] | string {
  let parsed = value
  if (typeof value === 'string') {
    try {
      parsed = JSON.parse(value)
    } catch {
      return `expected a JSON array of references, got ${shorten(value)}`
    }
  }
  if (parsed === null) return 'the array of references is missing'
  if (!Array.isArray(parsed)) return `expected a JSON array of references, got ${shorten(value)}`
  return parsed.length === 0 ? 'the array of references is empty' : parsed
}

function expectedText(value: unknown, isInArray = false): string {
  const hint = Array.isArray(value) && !isInArray ? ' (references as JSON arrays need --json-references)' : ''
  return `expected text, got ${shorten(value)}${hint}`
}

function shorten(value: unknown): string {
  const text =
    JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? Number(inner) : inner)) ??
    String(value)
  return text.length > 40 ? `${text.slice(0, 40)}…` : text
}

function missingColumn(path: string, name: string, header: readonly string[]): ShallowDeepError {
  return new ShallowDeepError({
    code: 'data.missing-column',
    message: `${path}: no column "${name}"; the columns are ${listNames(name, header)}`,
    hint: 'name the columns with --source-column and --target-column',
    details: { path, column: name, columns: header },
  })
}

/** The names there are, and the one that `wanted` may have meant. */
function listNames(wanted: string, known: readonly string[]): string {
  const near = suggestNearest(wanted, known)
  const list = known.map((name) => JSON.stringify(name)).join(', ')
  return near === undefined ? list : `${list}; did you mean ${JSON.stringify(near)}?`
}
