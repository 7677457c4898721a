// Child processes for the native set-up: run to the end, output kept for the error message, stopped as a whole group
// when this process is interrupted.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'

/** What a finished child left behind. `code` is null when it could not be started or a signal ended it. */
export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** `ENOENT` and the like when it could not be started. */
  readonly spawnError: string | null
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
}

const running = new Set<ChildProcess>()

/** Runs a program without a shell and resolves when it has ended, however it ended; it never rejects. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve) => {
    // A group of its own, so that pip's and the compiler's children end with it.
    const child = spawn(program, args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', (error: NodeJS.ErrnoException) => {
      running.delete(child)
      resolve({ code: null, stdout, stderr, spawnError: error.code ?? error.message })
    })
    child.on('close', (code) => {
      running.delete(child)
      resolve({ code, stdout, stderr, spawnError: null })
    })
  })
}

/** Ends every child that still runs, with its children. */
export function stopChildren(): void {
  for (const child of running) {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It ended by itself in the meantime.
    }
  }
}

/** The line of a program's error output that says most: the last one that speaks of an error, else the last. */
export function tellingLine(finished: Finished): string {
  const lines = `${finished.stdout}\n${finished.stderr}`.split('\n').map((line) => line.trim())
  const spoken = lines.filter((line) => line !== '')
  return spoken.filter((line) => /error|no space/i.test(line)).at(-1) ?? spoken.at(-1) ?? 'it said nothing'
}
