// From whatever was thrown to one line on standard error and an exit code.
import { CommanderError } from 'commander'
import { ShallowDeepError } from '../errors.js'

/** Exit codes of the command. */
export const EXIT = { done: 0, failed: 1, usage: 2, gate: 3, interrupted: 130 } as const

/** What is to be told of an error. */
export interface FailureReport {
  readonly exitCode: number
  /** Lines for standard error; none where there is nothing to say. */
  readonly lines: readonly string[]
}

/**
 * What to tell of an error. A user's mistake is an `error:` and a `hint:` line; a bug says how to see its stack.
 * @param context `signal`: whose abort is an interruption; `verbose`: stacks are shown; `command`: its words, for hints
 */
export function reportFailure(
  error: unknown,
  context: { readonly signal: AbortSignal; readonly verbose: boolean; readonly command: string },
): FailureReport {
  const { signal, verbose, command } = context
  if (signal.aborted && error === signal.reason) return { exitCode: EXIT.interrupted, lines: ['interrupted'] }
  if (error instanceof CommanderError) return reportCommander(error, command)
  const stack = verbose && error instanceof Error && error.stack ? [error.stack] : []
  if (error instanceof ShallowDeepError) {
    const hint = error.hint ?? (error.code.startsWith('config.') ? helpHint(command) : undefined)
    return {
      exitCode: error.kind === 'usage' ? EXIT.usage : EXIT.failed,
      lines: [...tell(error.message, hint), ...stack],
    }
  }
  if (isSystemError(error)) return { exitCode: EXIT.failed, lines: [...tell(error.message), ...stack] }
  const message = error instanceof Error ? error.message : String(error)
  const hint = verbose
    ? 'this is a bug; please report it'
    : 'this is a bug; --verbose shows where it happened'
  return { exitCode: EXIT.failed, lines: [...tell(`unexpected failure: ${message}`, hint), ...stack] }
}

function reportCommander(error: CommanderError, command: string): FailureReport {
  if (error.exitCode === 0) return { exitCode: EXIT.done, lines: [] }
  // Help that is shown because no command was given has been written already.
  if (error.code === 'commander.help') return { exitCode: EXIT.usage, lines: [] }
  const [first, second = ''] = error.message.split('\n')
  const near = /^\(Did you mean (.*)\?\)$/.exec(second)?.[1]
  const hint = near === undefined ? helpHint(command) : `did you mean ${near}?`
  return { exitCode: EXIT.usage, lines: tell(first.replace(/^error: /, ''), hint) }
}

function helpHint(command: string): string {
  return `${command} --help shows what there is`
}

function tell(message: string, hint?: string): string[] {
  const oneLine = (text: string) => text.replace(/\s*\n\s*/g, ' ')
  return [`error: ${oneLine(message)}`, ...(hint === undefined ? [] : [`hint: ${oneLine(hint)}`])]
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error
}
