// Runs the command as a user does, in a process of its own: the built one where the build is newer than the source (npm
// test builds first), else the source itself, which starts more slowly.
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's root: where commands run, so that paths in examples hold. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const BUILT = 'dist/cli/main.js'
const ENTRY = isBuildFresh() ? [BUILT] : ['--import', 'tsx', 'src/cli/main.ts']

function isBuildFresh(): boolean {
  const built = statSync(join(ROOT, BUILT), { throwIfNoEntry: false })
  if (built === undefined) return false
  const source = join(ROOT, 'src')
  const names = readdirSync(source, { recursive: true }) as string[]
  return names.every((name) => statSync(join(source, name)).mtimeMs < built.mtimeMs)
}

/** What a command left. */
export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A command that runs. */
export interface RunningCommand {
  readonly child: ChildProcess
  readonly result: Promise<CommandResult>
}

/** Starts the command. `input`: its standard input; neutral: empty; null: left open, for the caller to write. */
export function startCommand(
  words: readonly string[],
  { input = '', env = {} }: { readonly input?: string | null; readonly env?: NodeJS.ProcessEnv } = {},
): RunningCommand {
  const { NO_COLOR: _no, FORCE_COLOR: _force, DEBUG: _debug, ...inherited } = process.env
  const child = spawn(process.execPath, [...ENTRY, ...words], {
    cwd: ROOT,
    env: { ...inherited, ...env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  child.stdin.on('error', () => undefined)
  if (input !== null) child.stdin.end(input)
  const result = new Promise<CommandResult>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
  return { child, result }
}

/** Runs the command to its end. */
export function runCommand(
  words: readonly string[],
  options: { readonly input?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<CommandResult> {
  return startCommand(words, options).result
}

/** A folder for the tests' files, removed when the process ends. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `shallowdeep-cli-${name}-`))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}
