// A checkpoint's files over HTTP, for programs without a disk: which ones there are, and their bytes.
import { ShallowDeepError } from '../errors.js'
import { MAX_JSON_BYTES, missingFile, tooLarge, WEIGHTS_FILE } from './files.js'
import { parseJsonObject } from './json.js'
import { joinBytes } from './safetensorsWriter.js'
import { MAX_INDEX_BYTES, parseShardIndex, SHARD_INDEX_FILE } from './shards.js'

/** How far one file is. */
export interface FetchProgress {
  readonly file: string
  readonly doneBytes: number
  /** null where the server does not tell, or tells the size before decompression. */
  readonly totalBytes: number | null
}

export interface FetchOptions {
  /** Neutral: the global `fetch`. Another one may add headers, or answer from a cache. */
  readonly fetch?: (url: string, init: { readonly signal?: AbortSignal }) => Promise<Response>
  readonly onProgress?: (progress: FetchProgress) => void
  readonly signal?: AbortSignal
}

/**
 * The files of a checkpoint by name, as {@link fromCheckpointFiles} takes them, from the folder at `url` (relative to the
 * page, in a browser): `config.json`, `model.safetensors` or the shards that its index names, and where they are there
 * `tokenizer.json` and `calibration.json`. The weights come last, so that what is wrong with the rest costs no download.
 * Throws `checkpoint.missing-file`, `checkpoint.unreadable`, `checkpoint.too-large` (a JSON file beyond any sense), what
 * reading an index throws, and the signal's reason.
 */
export async function fetchCheckpointFiles(
  url: string | URL,
  options: FetchOptions = {},
): Promise<Map<string, Uint8Array>> {
  const folder = String(url).replace(/\/+$/, '')
  const files = new Map<string, Uint8Array>()
  const load = async (file: string, maxBytes = Infinity) => {
    const bytes = await fetchFile(`${folder}/${file}`, { file, maxBytes }, options)
    if (bytes) files.set(file, bytes)
    return bytes
  }
  const [config] = await Promise.all(
    Object.entries(MAX_JSON_BYTES).map(([file, maxBytes]) => load(file, maxBytes)),
  )
  if (!config) throw missingFile('config.json', folder)
  if (await load(WEIGHTS_FILE)) return files
  const index = await load(SHARD_INDEX_FILE, MAX_INDEX_BYTES)
  if (!index) throw missingFile(WEIGHTS_FILE, folder)
  const source = `${folder}/${SHARD_INDEX_FILE}`
  for (const shard of parseShardIndex(parseJsonObject(index, source), source).files) {
    if (!(await load(shard))) throw missingFile(shard, folder)
  }
  return files
}

/** A file's bytes; undefined where there is none. */
async function fetchFile(
  url: string,
  limits: { readonly file: string; readonly maxBytes: number },
  options: FetchOptions,
): Promise<Uint8Array | undefined> {
  const { fetch = globalThis.fetch, signal } = options
  signal?.throwIfAborted()
  try {
    const response = await fetch(url, { ...(signal && { signal }) })
    // Servers of single-page applications answer with their page where there is no file.
    const isPage = response.headers.get('content-type')?.startsWith('text/html') ?? false
    if (response.status === 404 || (response.ok && isPage)) {
      await response.body?.cancel()
      return undefined
    }
    if (!response.ok) throw unreadable(url, `the server answered with status ${response.status}`)
    return await readBody(response, { url, ...limits }, options)
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof ShallowDeepError) throw error
    throw unreadable(url, error instanceof Error ? error.message : String(error), error)
  }
}

async function readBody(
  response: Response,
  { url, file, maxBytes }: { readonly url: string; readonly file: string; readonly maxBytes: number },
  { onProgress }: FetchOptions,
): Promise<Uint8Array> {
  const claimed = Number(response.headers.get('content-length') ?? NaN)
  const reader = response.body!.getReader()
  const chunks: Uint8Array[] = []
  let doneBytes = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return joinBytes(chunks)
    doneBytes += value.length
    if (doneBytes > maxBytes) {
      await reader.cancel()
      throw tooLarge(url, doneBytes, maxBytes)
    }
    chunks.push(value)
    onProgress?.({ file, doneBytes, totalBytes: claimed >= doneBytes ? claimed : null })
  }
}

function unreadable(url: string, what: string, cause?: unknown): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.unreadable',
    message: `${url} could not be read: ${what}`,
    hint: 'is the server there, and may this page read from it (CORS)?',
    details: { url },
    cause,
    kind: 'failure',
  })
}
