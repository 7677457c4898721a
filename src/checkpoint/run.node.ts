// A training run's folder: checkpoints as `step-<n>`, each published whole, and `index.json`, atomically replaced, that
// names the last and the best. The index is the truth: a folder it does not name is a left-over and goes at the next open.
import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { parseConfig } from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import { parseJsonObject } from './json.js'
import type { JsonObject } from './json.js'
import {
  findPublished,
  makeFolder,
  publishFolder,
  readIfPresent,
  removeFolder,
  removeLeftovers,
  replaceFile,
  settleFolder,
} from './publish.node.js'
import type { FolderContents } from './publish.node.js'

/** The index file's name inside a run's folder. */
export const RUN_INDEX_FILE = 'index.json'
const MAX_INDEX_BYTES = 64e6

const folderName = z.string().regex(/^step-(?:0|[1-9]\d{0,15})$/)
const indexSchema = z.strictObject({
  version: z.literal(1),
  last: folderName.nullable(),
  best: folderName.nullable(),
  checkpoints: z.array(z.strictObject({ folder: folderName, info: z.record(z.string(), z.unknown()) })),
})
type RunIndex = z.infer<typeof indexSchema>

/** One checkpoint of a run. */
export interface RunCheckpoint {
  readonly step: number
  /** Path of its folder. */
  readonly path: string
  /** What was saved with it as `info`: figures and the like, plain JSON. */
  readonly info: JsonObject
}

/** What a run's folder holds, as of the moment it was read. */
export interface RunView {
  /** Path of the checkpoint saved last, if any. */
  last(): string | undefined
  /** Path of the newest checkpoint that was saved as the best, if any. */
  best(): string | undefined
  /** All checkpoints that are kept, in the order in which they were saved. */
  checkpoints(): readonly RunCheckpoint[]
}

/** One checkpoint to be saved. */
export interface RunSave {
  /** Training steps done, a non-negative integer; a step saved before is replaced. */
  readonly step: number
  /** At least one. */
  readonly files: FolderContents
  /** Whether this is the best so far: it stays until another is. */
  readonly best: boolean
  /** Plain JSON that the index keeps beside the checkpoint; default none. */
  readonly info?: JsonObject
}

/** A run's folder opened for writing. */
export interface Run extends RunView {
  /**
   * Publishes a checkpoint, then replaces the index, then removes the checkpoints that are no longer kept. Resolves when
   * all of it is on disk. A kill at any moment leaves an index whose checkpoints are whole. Calls wait for each other.
   * Throws `checkpoint.bad-step`, `checkpoint.bad-file-name` and `checkpoint.write-failed`.
   */
  save(checkpoint: RunSave): Promise<void>
}

/**
 * Opens a run's folder for writing, making it where it is not there, and removes what killed writers left. One writer at
 * a time; any number may {@link readRun} meanwhile. `keepLast` (at least 1, default 2): how many of the newest
 * checkpoints are kept beside the best; with 2, one that a reader has just looked up stays for a whole interval.
 * Throws `checkpoint.bad-json` or `config.*` (an index that is none), `checkpoint.missing-index` (checkpoints without an
 * index), `checkpoint.missing-folder` (the index names a checkpoint that is gone) and `checkpoint.write-failed`.
 */
export async function openRun(path: string, options: { readonly keepLast?: number } = {}): Promise<Run> {
  const root = resolve(path)
  await makeFolder(root)
  await removeLeftovers(root)
  const found = await readIndex(root)
  const index = found ?? (await startIndex(root))
  for (const { folder } of index.checkpoints) await settleFolder(join(root, folder))
  const paths = await locate(root, index)
  await removeUnnamed(root, index)
  const checkpoints = index.checkpoints.filter(({ folder }) => paths.has(folder))
  return new WritableRun(root, { ...index, checkpoints }, Math.max(1, options.keepLast ?? 2))
}

/**
 * Reads which checkpoints a run's folder holds, also while another process writes to it. Changes nothing.
 * Throws `checkpoint.missing-index`, `checkpoint.missing-folder` and, for an index that is none, `checkpoint.bad-json` or
 * `config.*`.
 */
export async function readRun(path: string): Promise<RunView> {
  const root = resolve(path)
  for (let attempt = 0; ; attempt++) {
    const index = await readIndex(root)
    if (!index) throw missingIndex(root, 'no training run has been saved there')
    try {
      return viewOf(await locate(root, index), index)
    } catch (error) {
      // The writer may have replaced the index and removed a folder after the look at the index.
      if (attempt >= 5 || JSON.stringify(await readIndex(root)) === JSON.stringify(index)) throw error
    }
  }
}

class WritableRun implements Run {
  private queue: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly root: string,
    private index: RunIndex,
    private readonly keepLast: number,
  ) {}

  private get view(): RunView {
    return viewOf(
      new Map(this.index.checkpoints.map(({ folder }) => [folder, join(this.root, folder)])),
      this.index,
    )
  }

  last(): string | undefined {
    return this.view.last()
  }

  best(): string | undefined {
    return this.view.best()
  }

  checkpoints(): readonly RunCheckpoint[] {
    return this.view.checkpoints()
  }

  save(checkpoint: RunSave): Promise<void> {
    const saved = this.queue.then(() => this.saveNow(checkpoint))
    this.queue = saved.catch(() => undefined)
    return saved
  }

  private async saveNow({ step, files, best, info }: RunSave): Promise<void> {
    if (!Number.isSafeInteger(step) || step < 0) {
      throw new ShallowDeepError({
        code: 'checkpoint.bad-step',
        message: `expected a non-negative integer as the step of a checkpoint, got ${step}`,
        details: { step },
      })
    }
    const folder = `step-${step}`
    await publishFolder(join(this.root, folder), files, { overwrite: true })
    const others = this.index.checkpoints.filter((entry) => entry.folder !== folder)
    const all = [...others, { folder, info: { ...info } }]
    // A replaced step that was the best is no longer the one that earned the name, unless it is called so again.
    const oldBest = this.index.best === folder ? null : this.index.best
    const newBest = best ? folder : oldBest
    const kept = all.filter((entry, i) => entry.folder === newBest || i >= all.length - this.keepLast)
    const index: RunIndex = { version: 1, last: folder, best: newBest, checkpoints: kept }
    await writeIndex(this.root, index)
    this.index = index
    await removeUnnamed(this.root, index)
  }
}

/** @param paths where the checkpoints are; those without a path are left out */
function viewOf(paths: ReadonlyMap<string, string>, index: RunIndex): RunView {
  return {
    last: () => (index.last === null ? undefined : paths.get(index.last)),
    best: () => (index.best === null ? undefined : paths.get(index.best)),
    checkpoints: () =>
      index.checkpoints.flatMap(({ folder, info }) => {
        const path = paths.get(folder)
        return path === undefined ? [] : [{ step: Number(folder.slice('step-'.length)), path, info }]
      }),
  }
}

async function readIndex(root: string): Promise<RunIndex | undefined> {
  const path = join(root, RUN_INDEX_FILE)
  const bytes = await readIfPresent(path, MAX_INDEX_BYTES)
  return bytes && parseConfig(indexSchema, parseJsonObject(bytes, path), path)
}

async function writeIndex(root: string, index: RunIndex): Promise<void> {
  await replaceFile(join(root, RUN_INDEX_FILE), `${JSON.stringify(index, null, 2)}\n`)
}

/** An empty index for a new run, so that from then on checkpoints without one mean that it was lost. */
async function startIndex(root: string): Promise<RunIndex> {
  const [stray] = await listSteps(root)
  if (stray !== undefined) throw missingIndex(root, `it holds ${stray}, but the index is lost`)
  const index: RunIndex = { version: 1, last: null, best: null, checkpoints: [] }
  await writeIndex(root, index)
  return index
}

function missingIndex(root: string, what: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.missing-index',
    message: `${root} has no ${RUN_INDEX_FILE}: ${what}`,
    hint: 'give the folder of a training run, or a new one',
    details: { path: root },
  })
}

async function listSteps(root: string): Promise<readonly string[]> {
  return (await readdir(root)).filter((name) => folderName.safeParse(name).success).sort()
}

async function removeUnnamed(root: string, index: RunIndex): Promise<void> {
  const named = new Set(index.checkpoints.map(({ folder }) => folder))
  for (const name of await listSteps(root)) if (!named.has(name)) await removeFolder(join(root, name))
}

/**
 * Where each checkpoint that the index names is now. One that somebody removed by hand is left out, unless it is the
 * last or the best: the run cannot go on as if it were there.
 */
async function locate(root: string, index: RunIndex): Promise<ReadonlyMap<string, string>> {
  const paths = new Map<string, string>()
  for (const { folder } of index.checkpoints) {
    const published = await findPublished(join(root, folder))
    if (published !== undefined) paths.set(folder, published)
  }
  const gone = [index.last, index.best].find((folder) => folder !== null && !paths.has(folder))
  if (gone == null) return paths
  throw new ShallowDeepError({
    code: 'checkpoint.missing-folder',
    message: `${join(root, gone)} is gone, though ${RUN_INDEX_FILE} names it as the last or the best`,
    hint: 'put it back, or begin a new run in another folder',
    details: { path: join(root, gone) },
  })
}
