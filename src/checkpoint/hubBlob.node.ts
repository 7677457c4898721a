// One file of a hub repository into the cache that is shared with Python: blobs/<etag>, grown as <etag>.incomplete, so that an
// interrupted download goes on where it stopped, and checked against the hash that its name is.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, open, rename, rm, stat, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { ShallowDeepError } from '../errors.js'
import { hasErrorCode } from './publish.node.js'

/** A file to be fetched. */
export interface HubFile {
  readonly name: string
  readonly sizeBytes: number
  /** Name of the blob. */
  readonly etag: string
  /** What the etag is: SHA-256 of the content (large files), the Git blob's SHA-1, or a name that cannot be checked. */
  readonly kind: 'sha256' | 'git' | 'opaque'
  /** The bytes from a position to the end. */
  readonly stream: (position: number) => Promise<ReadableStream<Uint8Array>>
}

/** Receives the bytes of the file that are there, those of earlier runs included. */
export type OnBytes = (doneBytes: number) => void

/**
 * Makes the file of a snapshot: a link to its blob, which is downloaded where it is not there. Throws what the stream
 * throws (what came before stays for the next run) and `hub.corrupt-download`.
 * @param repository the cache's folder of the repository
 */
export async function fetchHubFile(
  file: HubFile,
  { repository, commit, onBytes }: { repository: string; commit: string; onBytes: OnBytes },
): Promise<void> {
  const pointer = join(repository, 'snapshots', commit, file.name)
  const blob = join(repository, 'blobs', file.etag)
  await mkdir(dirname(blob), { recursive: true })
  await mkdir(dirname(pointer), { recursive: true })
  if (!(await isThere(pointer))) {
    if (!(await isThere(blob))) await download(file, blob, onBytes)
    await link(blob, pointer)
  }
  onBytes(file.sizeBytes)
}

async function download(file: HubFile, blob: string, onBytes: OnBytes): Promise<void> {
  const incomplete = `${blob}.incomplete`
  const had = await append(file, incomplete, onBytes)
  if (!(await isWhole(file, incomplete))) {
    await rm(incomplete)
    // What an earlier run or another writer left may be at fault: once more, from the start.
    if (had > 0) await append(file, incomplete, onBytes)
    if (had === 0 || !(await isWhole(file, incomplete))) {
      await rm(incomplete, { force: true })
      throw new ShallowDeepError({
        code: 'hub.corrupt-download',
        message: `${file.name}: what was downloaded is not the file that the hub names (${file.etag})`,
        hint: 'run the same command again; is there a proxy that changes files?',
        details: { name: file.name, etag: file.etag },
        kind: 'failure',
      })
    }
  }
  await rename(incomplete, blob)
}

/** Downloads what is missing at the end of `path`; returns how much was there. */
async function append(file: HubFile, path: string, onBytes: OnBytes): Promise<number> {
  const had = await sizeOf(path)
  let done = had
  onBytes(done)
  if (done >= file.sizeBytes && had > 0) return had
  const handle = await open(path, 'a')
  try {
    for await (const chunk of await file.stream(done)) {
      await handle.appendFile(chunk)
      done += chunk.length
      if (done > file.sizeBytes) break
      onBytes(done)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  return had
}

async function isWhole({ sizeBytes, etag, kind }: HubFile, path: string): Promise<boolean> {
  if ((await sizeOf(path)) !== sizeBytes) return false
  if (kind === 'opaque') return true
  const hash = createHash(kind === 'git' ? 'sha1' : 'sha256')
  if (kind === 'git') hash.update(`blob ${sizeBytes}\0`)
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex') === etag
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return 0
    throw error
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** A relative link, as Python makes it, so that a cache can be moved; where links are not allowed, a copy. */
async function link(blob: string, pointer: string): Promise<void> {
  await rm(pointer, { force: true })
  try {
    await symlink(relative(dirname(pointer), blob), pointer)
  } catch (error) {
    if (!hasErrorCode(error, 'EPERM', 'ENOSYS', 'ENOTSUP')) throw error
    await copyFile(blob, pointer)
  }
}
