// T5 checkpoints from the Hugging Face hub, through its JavaScript client, into the cache that Python programs share
// (HF_HOME, HF_HUB_CACHE; models--owner--name/{blobs,refs,snapshots}). Found there, nothing is downloaded twice, and without a
// network nothing is missed.
import { mkdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ListFileEntry } from '@huggingface/hub'
import { ShallowDeepError } from '../errors.js'
import { WEIGHTS_FILE } from './files.js'
import { fetchHubFile, type HubFile } from './hubBlob.node.js'
import { badRevision, interrupted, noSafetensors, notCached, refusal, unreachable } from './hubErrors.js'
import { parseJsonObject } from './json.js'
import { replaceFile } from './publish.node.js'
import { parseShardIndex, SHARD_INDEX_FILE } from './shards.js'

/** What is being downloaded; bytes count over all files. */
export interface HubProgress {
  readonly file: string
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface HubOptions {
  /** Branch, tag or commit. Neutral: `main`. */
  readonly revision?: string
  /** Neutral: HF_ENDPOINT, else https://huggingface.co. */
  readonly hubUrl?: string
  /** Neutral: HF_HUB_CACHE, else `hub` in HF_HOME, else ~/.cache/huggingface/hub. */
  readonly cacheFolder?: string
  /** For private and gated models. Neutral: HF_TOKEN, else none. */
  readonly accessToken?: string
  /** Ask the cache alone. Neutral: HF_HUB_OFFLINE is set to 1. */
  readonly isOffline?: boolean
  readonly onProgress?: (progress: HubProgress) => void
  readonly signal?: AbortSignal
}

/** A model's files on disk. */
export interface HubSnapshot {
  readonly folder: string
  /** Commit that the files are of. */
  readonly commit: string
  /** Whether the hub was not asked, or could not be reached. */
  readonly isFromCacheAlone: boolean
}

/** Whether text has the form of a hub id: `owner/name`, or `name` alone as old models have. */
export function isHubId(text: string): boolean {
  return /^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)?$/.test(text) && !text.includes('..')
}

const COMMIT = /^[0-9a-f]{40}$/

/**
 * The folder of a model of the hub: its config, weights and tokenizer. Where the hub cannot be reached, the cached state of
 * that revision, if it is whole. Throws `hub.bad-revision`, `hub.no-such-model`, `hub.no-safetensors`, `hub.unreachable`,
 * `hub.not-cached`, `hub.interrupted`, `hub.refused`, `hub.corrupt-download`, and the signal's reason.
 */
export async function fetchFromHub(id: string, options: HubOptions = {}): Promise<HubSnapshot> {
  const hub = await import('@huggingface/hub')
  const { revision = hub.DEFAULT_REVISION, signal } = options
  // A revision becomes a path in the cache.
  if (!/^[\w.-]+(\/[\w.-]+)*$/.test(revision) || revision.includes('..')) throw badRevision(revision)
  const cacheFolder = options.cacheFolder ?? hub.getHFHubCachePath()
  const repository = join(cacheFolder, hub.getRepoFolderName({ type: 'model', name: id }))
  const isOffline = options.isOffline ?? /^(1|on|yes|true)$/i.test(process.env.HF_HUB_OFFLINE ?? '')
  const hubUrl = (options.hubUrl ?? process.env.HF_ENDPOINT ?? hub.HUB_URL).replace(/\/+$/, '')
  const cached = () => findCached(repository, revision)
  if (isOffline) {
    const found = await cached()
    if (found) return found
    throw notCached(id, repository)
  }
  const accessToken = options.accessToken ?? process.env.HF_TOKEN
  const params: HubParams = {
    hubUrl,
    ...(accessToken && { accessToken }),
    fetch: (input, init) => fetch(input, { ...init, ...(signal && { signal }) }),
  }
  let hasStarted = false
  try {
    const { sha } = await hub.modelInfo({ ...params, name: id, revision, additionalFields: ['sha'] })
    const commit = String(sha)
    if (!COMMIT.test(commit)) throw new TypeError(`no commit hash: ${commit}`)
    const repo = { type: 'model', name: id } as const
    const entries = new Map<string, ListFileEntry>()
    for await (const entry of hub.listFiles({ ...params, repo, revision: commit }))
      entries.set(entry.path, entry)
    const stream = async (name: string, position: number) => {
      const blob = await hub.downloadFile({ ...params, repo, path: name, revision: commit })
      if (!blob) throw new TypeError(`the hub has no ${name}`)
      // Not a slice where all of it is wanted: a slice of nothing is a request that servers refuse.
      return (position === 0 ? blob : blob.slice(position)).stream() as ReadableStream<Uint8Array>
    }
    hasStarted = true
    await fetchAll(id, { entries, repository, commit, stream, onProgress: options.onProgress })
    if (revision !== commit) {
      const reference = join(repository, 'refs', revision)
      await mkdir(dirname(reference), { recursive: true })
      // Last, so that a reference never names half a snapshot.
      await replaceFile(reference, commit)
    }
    return { folder: join(repository, 'snapshots', commit), commit, isFromCacheAlone: false }
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof ShallowDeepError) throw error
    if (error instanceof hub.HubApiError) throw refusal(error.statusCode, { id, revision, hubUrl })
    if (hasStarted) throw interrupted(id, hubUrl, error)
    const found = await cached()
    if (found) return found
    throw unreachable(id, hubUrl, error)
  }
}

interface HubParams {
  readonly hubUrl: string
  readonly accessToken?: string
  readonly fetch: typeof fetch
}

interface Listing {
  readonly entries: ReadonlyMap<string, ListFileEntry>
  readonly repository: string
  readonly commit: string
  readonly stream: (name: string, position: number) => Promise<ReadableStream<Uint8Array>>
  readonly onProgress?: (progress: HubProgress) => void
}

async function fetchAll(id: string, listing: Listing): Promise<void> {
  const { entries, repository, commit, stream, onProgress } = listing
  const fileOf = (name: string): HubFile => {
    const entry = entries.get(name)
    if (!entry) throw noSafetensors(id, [...entries.keys()], name)
    return { ...describe(entry), stream: (position) => stream(name, position) }
  }
  let files = firstFiles(id, entries).map(fileOf)
  let before = 0
  for (let i = 0; i < files.length; i++) {
    const { name, sizeBytes } = files[i]
    const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0)
    const onBytes = (done: number) => onProgress?.({ file: name, doneBytes: before + done, totalBytes })
    await fetchHubFile(files[i], { repository, commit, onBytes })
    before += sizeBytes
    if (name !== SHARD_INDEX_FILE) continue
    const shards = await readShardNames(join(repository, 'snapshots', commit))
    files = [...files, ...shards.map(fileOf)]
  }
}

/** What is fetched, small files first; shards follow when the index is there. */
function firstFiles(id: string, entries: ReadonlyMap<string, unknown>): string[] {
  const has = (name: string) => entries.has(name)
  const spiece = ['spiece.model', 'tokenizer_config.json']
  const tokenizer = has('tokenizer.json') ? ['tokenizer.json'] : spiece.filter(has)
  const weights = [WEIGHTS_FILE, SHARD_INDEX_FILE].find(has)
  if (weights === undefined || !has('config.json')) throw noSafetensors(id, [...entries.keys()], WEIGHTS_FILE)
  return ['config.json', ...['generation_config.json'].filter(has), ...tokenizer, weights]
}

function describe({ path: name, size, lfs, xetHash, oid }: ListFileEntry): Omit<HubFile, 'stream'> {
  const etag = lfs?.oid ?? xetHash ?? oid ?? ''
  // It becomes a file name.
  if (!/^[0-9a-f]{40,64}$/.test(etag)) throw new TypeError(`no hash of ${name}: ${etag}`)
  return { name, sizeBytes: lfs?.size ?? size, etag, kind: lfs ? 'sha256' : xetHash ? 'opaque' : 'git' }
}

async function readShardNames(snapshot: string): Promise<readonly string[]> {
  const path = join(snapshot, SHARD_INDEX_FILE)
  return parseShardIndex(parseJsonObject(await readFile(path), path), path).files
}

/** The cached snapshot of a revision, if all of its weights are there. */
async function findCached(repository: string, revision: string): Promise<HubSnapshot | undefined> {
  const reference = await readFile(join(repository, 'refs', revision), 'utf8').catch(() => revision)
  const commit = reference.trim()
  if (!COMMIT.test(commit)) return undefined
  const folder = join(repository, 'snapshots', commit)
  const has = (name: string) =>
    stat(join(folder, name)).then(
      ({ size }) => size > 0,
      () => false,
    )
  if (!(await has('config.json'))) return undefined
  if (!(await has(WEIGHTS_FILE))) {
    if (!(await has(SHARD_INDEX_FILE))) return undefined
    for (const shard of await readShardNames(folder)) if (!(await has(shard))) return undefined
  }
  return { folder, commit, isFromCacheAlone: true }
}
