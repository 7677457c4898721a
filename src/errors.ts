// The one error class of the project and the form of its codes. Tests and callers match `code`, never the message.

/** Plain JSON that goes with an error: file, line, key, tensor name and the like. */
export type ErrorDetails = Readonly<Record<string, unknown>>

/** What kind of mistake an error is; the command line maps it to its exit code (usage 2, failure 1). */
export type ErrorKind = 'usage' | 'failure'

export interface ErrorOptions {
  /** Stable, documented, `area.what-is-wrong`, for example `config.unknown-key`. */
  readonly code: string
  /** One line: what was expected, what came, and where. */
  readonly message: string
  /** What to do next, one line. */
  readonly hint?: string
  readonly details?: ErrorDetails
  readonly cause?: unknown
  /** `usage` (default) when other input would have worked, `failure` when the work itself failed. */
  readonly kind?: ErrorKind
}

/** Every error that this project throws on purpose. */
export class ShallowDeepError extends Error {
  readonly code: string
  readonly hint: string | undefined
  readonly details: ErrorDetails
  readonly kind: ErrorKind

  constructor(options: ErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ShallowDeepError'
    this.code = options.code
    this.hint = options.hint
    this.details = options.details ?? {}
    this.kind = options.kind ?? 'usage'
  }
}

/** The known word nearest to `word` by edit distance, if it is near enough to be what was meant. */
export function suggestNearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Levenshtein distance with one row of memory. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length]
}
