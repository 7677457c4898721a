// Starts the writer, kills it with SIGKILL, and judges what is left: for the kill tests, fast and slow.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { openRun, readCheckpointFolder, readRun } from '../../src/checkpoint/index.node.js'
import { KEEP_LAST, numberOfCheckpoint, stepOfFolder } from './writerContents.js'

/** `run`: a training run that gets a new step each time; `folder`: one published folder that is overwritten. */
export type WriterKind = 'run' | 'folder'

/** Bundles the writer into one file, which starts much faster than its sources. */
export async function bundleWriter(outfile: string): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL('writer.child.ts', import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'esm',
    outfile,
    logLevel: 'error',
  })
}

export interface WriterOptions {
  /** The bundle. */
  readonly program: string
  readonly kind: WriterKind
  readonly path: string
}

/** What the writer told before it ended. */
export interface WriterReport {
  /** Number of the last write that began, and of the last that was done (-1: none). */
  readonly begun: number
  readonly done: number
  /** File operations of the one write, where they were counted and it lived. */
  readonly operations: number | undefined
  /** Milliseconds from each `begin` to its `done`. */
  readonly durationsMs: readonly number[]
}

/**
 * Runs the writer. With `dieAt` it does one write and kills itself before that file operation (0: never). With
 * `killAfterMs` it is killed so long after the begin of its `killInWrite`-th write (default the first).
 */
export async function runWriter(
  options: WriterOptions & {
    readonly dieAt?: number
    readonly killAfterMs?: number
    readonly killInWrite?: number
  },
): Promise<WriterReport> {
  const { program, kind, path, dieAt, killAfterMs = 0, killInWrite = 1 } = options
  const args = [program, kind, path, ...(dieAt === undefined ? [] : [`${dieAt}`])]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = new Promise<NodeJS.Signals | null>((resolve) =>
    child.on('close', (_, signal) => resolve(signal)),
  )
  const report = {
    begun: -1,
    done: -1,
    operations: undefined as number | undefined,
    durationsMs: [] as number[],
  }
  let text = ''
  let begunAt = 0
  let numBegun = 0
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      const [word, number] = text.slice(0, end).split(' ')
      text = text.slice(end + 1)
      if (word === 'operations') report.operations = Number(number)
      else if (word === 'done') {
        report.done = Number(number)
        report.durationsMs.push(performance.now() - begunAt)
      } else {
        report.begun = Number(number)
        begunAt = performance.now()
        if (dieAt === undefined && ++numBegun === killInWrite)
          void wait(killAfterMs).then(() => child.kill('SIGKILL'))
      }
    }
  })
  const signal = await closed
  assert.equal(signal, report.operations === undefined ? 'SIGKILL' : null)
  return report
}

/**
 * Where a kill landed, by what it left: `inside` is after the first byte of a write and before its last rename;
 * `between-renames` is the part of `inside` where an overwritten folder has no name of its own.
 */
export interface Landing {
  readonly isInside: boolean
  readonly isBetweenRenames: boolean
}

export function judgeLanding({ kind, path }: Pick<WriterOptions, 'kind' | 'path'>): Landing {
  const folder = kind === 'run' ? path : dirname(path)
  const names = readdirSync(folder)
  const hasBytes = names.some((name) => /^\..*\.new-/.test(name) && sizeOf(join(folder, name)) > 0)
  const isAside = names.some(
    (name) => name.endsWith('.old') && !names.includes(name.slice(1, -'.old'.length)),
  )
  return { isInside: hasBytes, isBetweenRenames: isAside }
}

function sizeOf(path: string): number {
  const stats = statSync(path)
  if (!stats.isDirectory()) return stats.size
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0)
}

/**
 * Asserts that what a killed writer left reads as one whole state (the last done write or the one that had begun), that
 * the next writer opens it to the same state, and that nothing else is left then.
 */
export async function assertWhole(
  { kind, path }: WriterOptions,
  { begun, done }: WriterReport,
): Promise<void> {
  const allowed = done < 0 ? [begun - 1, begun] : [done, begun]
  if (kind === 'folder') {
    const found = numberOfCheckpoint(await readCheckpointFolder(path))
    assert.ok(allowed.includes(found), `found ${found}, expected one of ${allowed.join(', ')}`)
    return
  }
  const seen = await readRun(path)
  const steps = seen.checkpoints().map((checkpoint) => stepOfFolder(checkpoint.path))
  const last = seen.last() === undefined ? -1 : stepOfFolder(seen.last() as string)
  assert.ok(allowed.includes(last), `last is ${last}, expected one of ${allowed.join(', ')}`)
  const best = last < 0 ? undefined : last - (last % 3)
  assert.equal(seen.best() && stepOfFolder(seen.best() as string), best)
  const expected = [best, last - 1, last].filter((step) => step !== undefined && step >= 0)
  assert.deepEqual(
    steps,
    [...new Set(expected)].sort((a, b) => Number(a) - Number(b)),
  )
  const opened = await openRun(path, { keepLast: KEEP_LAST })
  assert.deepEqual([opened.last(), opened.best()], [seen.last(), seen.best()])
  assert.deepEqual(readdirSync(path).sort(), ['index.json', ...steps.map((step) => `step-${step}`)].sort())
}
