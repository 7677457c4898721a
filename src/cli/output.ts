// Where a command's words go: results to standard output, everything else to standard error.
import { createProgress, type Progress, type ProgressOptions } from './progress.js'

/** What a command writes through. */
export interface Output {
  /** Whether results are JSON. */
  readonly isJson: boolean
  /** Whether results may be coloured. */
  readonly hasColour: boolean
  /** Columns of the terminal that shows results; 80 where there is none. */
  readonly width: number
  /** Writes text to standard output as it is. */
  write(text: string): void
  /** Writes a result and a line feed. */
  line(text: string): void
  /** Writes a value as one line of JSON. */
  json(value: unknown): void
  /** A remark on standard error; nothing with --quiet. */
  note(text: string): void
  /** A warning on standard error, also with --quiet. */
  warn(text: string): void
  /** A progress bar on standard error; silent with --quiet. */
  progress(options: Omit<ProgressOptions, 'stream' | 'isQuiet'>): Progress
}

/** Makes the output of a command. */
export function createOutput(options: { readonly json: boolean; readonly quiet: boolean }): Output {
  const { stdout, stderr } = process
  return {
    isJson: options.json,
    hasColour: hasColour(stdout),
    width: stdout.columns ?? 80,
    write: (text) => void stdout.write(text),
    line: (text) => void stdout.write(`${text}\n`),
    json: (value) => void stdout.write(`${JSON.stringify(value)}\n`),
    note: (text) => void (options.quiet || stderr.write(`${text}\n`)),
    warn: (text) => void stderr.write(`warning: ${text}\n`),
    progress: (more) => createProgress({ ...more, stream: stderr, isQuiet: options.quiet }),
  }
}

/** Colours only on a terminal, and by the rules of no-color.org and force-color.org. */
export function hasColour(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0'
  return stream.isTTY === true && env.TERM !== 'dumb'
}
