// Folders and files that are there whole or not at all, also after a kill or a power cut. Everything is written under a
// temporary sibling name, synced, and renamed. A folder that is overwritten is renamed to `.<name>.old` first, as rename
// replaces only empty folders: for that instant the old one is what readers take (findPublished).
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ShallowDeepError } from '../errors.js'
import { tooLarge, type FileContent } from './files.js'

/** Contents of the files of one folder, by name; names without separators. */
export type FolderContents = ReadonlyMap<string, FileContent>

export interface PublishOptions {
  /** Replace a folder that is there; default false. */
  readonly overwrite?: boolean
  /** A file that a folder must hold to be overwritten, so that a mistaken path destroys nothing; default none. */
  readonly marker?: string
}

/** Temporary names that this process is writing to or removing now. */
const inUse = new Set<string>()
const TEMPORARY = /^\.(.+)\.(?:new|trash)-(\d+)-[0-9a-f]{12}$/

function temporaryName(target: string, purpose: 'new' | 'trash'): string {
  // The random part only keeps names apart; the process number says later whether the owner is alive.
  const name = `.${basename(target)}.${purpose}-${process.pid}-${randomBytes(6).toString('hex')}`
  return join(dirname(target), name)
}

function asideName(target: string): string {
  return join(dirname(target), `.${basename(target)}.old`)
}

/**
 * Makes the folder `path` with these files (at least one), whole or not at all. With `overwrite` an old folder stays in place until the
 * new one takes its name; files of the old one that are not in `files` are gone afterwards. One writer at a time.
 * Throws `checkpoint.exists`, `checkpoint.not-a-folder`, `checkpoint.not-a-checkpoint` (a folder without the marker is
 * not overwritten), `checkpoint.bad-file-name` and `checkpoint.write-failed`.
 */
export async function publishFolder(
  path: string,
  files: FolderContents,
  options: PublishOptions = {},
): Promise<void> {
  const target = resolve(path)
  for (const name of files.keys()) checkFileName(name, target)
  await checkPublishable(target, options)
  const temporary = temporaryName(target, 'new')
  inUse.add(temporary)
  try {
    await makeFolder(dirname(target))
    await removeLeftovers(dirname(target), basename(target))
    await writeFolder(temporary, files)
    await putInPlace(temporary, target, options)
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    throw asWriteFailure(error, target)
  } finally {
    inUse.delete(temporary)
  }
}

/**
 * The folder that holds what was published as `path`: itself or, where a kill or a running writer is between the two
 * renames of an overwrite, the old one under its other name. Undefined where nothing is published; changes nothing.
 * Throws `checkpoint.not-a-folder`.
 */
export async function findPublished(path: string): Promise<string | undefined> {
  const target = resolve(path)
  const aside = asideName(target)
  // Looked at twice: the writer may finish between the look at the one name and the look at the other.
  for (const candidate of [target, aside, target]) if (await isOccupied(candidate)) return candidate
  return undefined
}

/** Brings a folder whose overwriting was killed back to one whole state. For the writer only. */
export async function settleFolder(path: string): Promise<void> {
  const target = resolve(path)
  const aside = asideName(target)
  if (!(await isOccupied(aside))) return
  if (await isOccupied(target)) await removeFolder(aside, target)
  else await rename(aside, target)
  await syncFolder(dirname(target))
}

/**
 * Removes a folder so that no part of it is ever seen under its name.
 * @param published the name whose writer removes what a kill leaves of it; default the folder's own
 */
export async function removeFolder(path: string, published = path): Promise<void> {
  const trash = temporaryName(published, 'trash')
  inUse.add(trash)
  try {
    await rename(path, trash)
    await rm(trash, { recursive: true, force: true })
  } finally {
    inUse.delete(trash)
  }
}

/**
 * Removes what killed writers left under temporary names in `folder`; of living processes of this machine it removes
 * nothing. `name`: only those of this file or folder.
 */
export async function removeLeftovers(folder: string, name?: string): Promise<void> {
  for (const entry of await readdir(folder)) {
    const match = TEMPORARY.exec(entry)
    if (!match || (name !== undefined && match[1] !== name)) continue
    const path = join(folder, entry)
    if (!isOwnerAlive(Number(match[2]), path)) await rm(path, { recursive: true, force: true })
  }
}

/** Writes a file whole or not at all, replacing what is there. Throws `checkpoint.write-failed`. */
export async function replaceFile(path: string, content: Uint8Array | string): Promise<void> {
  const target = resolve(path)
  const temporary = temporaryName(target, 'new')
  inUse.add(temporary)
  try {
    await writeFileSynced(temporary, content)
    await rename(temporary, target)
    await syncFolder(dirname(target))
  } catch (error) {
    await rm(temporary, { force: true })
    throw asWriteFailure(error, target)
  } finally {
    inUse.delete(temporary)
  }
}

/**
 * The bytes of a file of at most `maxBytes`, undefined where there is none. Throws `checkpoint.unreadable` and
 * `checkpoint.too-large`.
 */
export async function readIfPresent(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    const { size } = await stat(path)
    if (size <= maxBytes) return await readFile(path)
    throw tooLarge(path, size, maxBytes)
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error instanceof ShallowDeepError ? error : asReadFailure(error, path)
  }
}

/** Makes a folder and those above it, durably. Throws `checkpoint.write-failed`. */
export async function makeFolder(path: string): Promise<void> {
  try {
    const first = await mkdir(path, { recursive: true })
    if (first === undefined) return
    for (let made = resolve(path); made.length >= first.length; made = dirname(made))
      await syncFolder(dirname(made))
  } catch (error) {
    throw asWriteFailure(error, path)
  }
}

/** Whether an error of the file system has one of these codes. */
export function hasErrorCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && codes.includes(String((error as NodeJS.ErrnoException).code))
}

/** Whether `path` is a folder with something in it. Throws `checkpoint.not-a-folder` for a file. */
async function isOccupied(path: string): Promise<boolean> {
  try {
    return (await readdir(path)).length > 0
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return false
    if (!hasErrorCode(error, 'ENOTDIR')) throw asReadFailure(error, path)
    throw new ShallowDeepError({
      code: 'checkpoint.not-a-folder',
      message: `${path}: expected a folder, found a file (there or on the way to it)`,
      hint: 'a checkpoint is a folder: give its path, not that of a file in it',
      details: { path },
      cause: error,
    })
  }
}

/**
 * Whether {@link publishFolder} may write there: to be asked before long work. Throws `checkpoint.exists`,
 * `checkpoint.not-a-folder` and `checkpoint.not-a-checkpoint`.
 */
export async function checkPublishable(path: string, options: PublishOptions): Promise<void> {
  const { overwrite, marker } = options
  const target = resolve(path)
  const published = await findPublished(target)
  if (published === undefined) return
  if (!overwrite) {
    throw new ShallowDeepError({
      code: 'checkpoint.exists',
      message: `${target} exists already and is not overwritten`,
      hint: 'choose another folder, or ask for overwriting (--overwrite)',
      details: { path: target },
    })
  }
  if (marker === undefined || (await exists(join(published, marker)))) return
  throw new ShallowDeepError({
    code: 'checkpoint.not-a-checkpoint',
    message: `${target} holds no ${marker}: a folder that is no checkpoint is not overwritten`,
    hint: 'choose another folder, or remove this one yourself',
    details: { path: target, marker },
  })
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

async function putInPlace(temporary: string, target: string, options: PublishOptions): Promise<void> {
  const aside = asideName(target)
  await settleFolder(target)
  await checkPublishable(target, options)
  try {
    if (await isOccupied(target)) await rename(target, aside)
    await rename(temporary, target)
  } catch (error) {
    await settleFolder(target)
    throw error
  }
  await syncFolder(dirname(target))
  if (await isOccupied(aside)) await removeFolder(aside, target)
}

async function writeFolder(path: string, files: FolderContents): Promise<void> {
  await mkdir(path)
  for (const [name, content] of files) await writeFileSynced(join(path, name), content)
  await syncFolder(path)
}

async function writeFileSynced(path: string, content: FileContent): Promise<void> {
  const handle = await open(path, 'wx')
  try {
    const pieces = typeof content === 'string' || content instanceof Uint8Array ? [content] : content
    for (const piece of pieces) await handle.writeFile(piece)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes renames in a folder durable. Windows cannot open folders, and does without. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function isOwnerAlive(pid: number, path: string): boolean {
  if (pid === process.pid) return inUse.has(path)
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !hasErrorCode(error, 'ESRCH')
  }
}

function checkFileName(name: string, folder: string): void {
  if (name !== '' && name !== '.' && name !== '..' && !/[/\\\0]/.test(name)) return
  throw new ShallowDeepError({
    code: 'checkpoint.bad-file-name',
    message: `${folder}: expected plain file names, got ${JSON.stringify(name)}`,
    hint: 'a checkpoint has no folders inside',
    details: { name },
  })
}

function asWriteFailure(error: unknown, path: string): unknown {
  if (error instanceof ShallowDeepError) return error
  return new ShallowDeepError({
    code: 'checkpoint.write-failed',
    message: `${path} could not be written: ${error instanceof Error ? error.message : String(error)}`,
    hint: 'what was there before is unchanged; is there space, and may you write there?',
    details: { path },
    cause: error,
    kind: 'failure',
  })
}

function asReadFailure(error: unknown, path: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.unreadable',
    message: `${path} could not be read: ${error instanceof Error ? error.message : String(error)}`,
    hint: 'may you read it, and is it a plain file?',
    details: { path },
    cause: error,
    kind: 'failure',
  })
}
