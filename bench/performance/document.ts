// The tables of a document that commands make: each stands between two comments, of which the first holds the command.
import { ShallowDeepError } from '../../src/errors.js'

const OPENING = /^<!-- bench: (.*?) -->$/
const CLOSING = '<!-- /bench -->'

/** A table of a document. */
export interface MarkedTable {
  /** The command after `npm run bench --`. */
  readonly words: readonly string[]
  /** Lines between the comments, counted from 0: from `start` to before `end`. */
  readonly start: number
  readonly end: number
}

/**
 * All tables of a document, in order. Throws `bench.bad-marker` where a comment has no partner, where the command is empty,
 * and where there is none at all. `source` names the document.
 */
export function findTables(text: string, source: string): MarkedTable[] {
  const tables: MarkedTable[] = []
  let open: Omit<MarkedTable, 'end'> | undefined
  for (const [i, line] of text.split('\n').entries()) {
    const command = OPENING.exec(line)?.[1]
    if (command !== undefined) {
      if (open) throw badMarker(source, open.start, `expected ${CLOSING} before the next table`)
      const words = command.split(' ').filter((word) => word !== '')
      if (words.length === 0) throw badMarker(source, i + 1, 'expected a command, got none')
      open = { words, start: i + 1 }
    } else if (line === CLOSING) {
      if (!open) throw badMarker(source, i + 1, `${CLOSING} closes no table`)
      tables.push({ ...open, end: i })
      open = undefined
    }
  }
  if (open) throw badMarker(source, open.start, `expected ${CLOSING} after it`)
  if (tables.length === 0)
    throw badMarker(source, 1, 'expected a table between <!-- bench: ... --> and its end, found none')
  return tables
}

/** The document with a new body in a table; an empty line stands around it, so that Markdown reads it as its own. */
export function replaceTable(text: string, { start, end }: MarkedTable, body: string): string {
  const lines = text.split('\n')
  return [...lines.slice(0, start), '', ...body.trim().split('\n'), '', ...lines.slice(end)].join('\n')
}

function badMarker(source: string, line: number, what: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'bench.bad-marker',
    message: `${source}, line ${line}: ${what}`,
    details: { line },
  })
}
