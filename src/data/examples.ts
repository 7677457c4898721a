// What a data set is made of: a source text and its references, as read from a file and before any task or tokenizer; and
// what a system answers.

/** One row of a data set. */
export interface Example {
  /** The input text, without the task's prefix. */
  readonly source: string
  /** The references; empty only where a file was read for its sources alone (`hasTarget: false`). */
  readonly targets: readonly string[]
}

/** What a system answered to one example. */
export interface Prediction {
  readonly text: string
  /** Token ids of the answer, with the end of sequence where it ended so; undefined where they are not known. */
  readonly tokens?: readonly number[]
  /** What decoding these tokens took, encoder apart; undefined where it was not timed, as the next. */
  readonly decodingMs?: number
  readonly encoderMs?: number
}

/** A row that can't be used, where it stands in its file and why. */
export interface BadRow {
  /**
   * Line of the file on which the row (or the quote at fault) begins, from 1, the header included; of a Parquet file, which
   * has no lines, the row, from 1.
   */
  readonly line: number
  /** The column at fault; undefined where the whole row is. */
  readonly column: string | undefined
  readonly reason: string
}

/** A row that was left out. */
export interface SkippedRow extends BadRow {
  readonly file: string
}

/** How many of the rows left out a report keeps. */
export const MAX_REPORTED_ROWS = 20

/** How a reading went; grows as the examples are taken. */
export interface ReadReport {
  /** Rows that became examples. */
  readonly rows: number
  /** All rows that were left out; 0 unless they may be. */
  readonly numSkipped: number
  /** The first {@link MAX_REPORTED_ROWS} of them. */
  readonly skipped: readonly SkippedRow[]
}
