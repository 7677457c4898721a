// Tokenizers from files: a tokenizer.json, or a spiece.model.
import { readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ShallowDeepError } from '../errors.js'
import { invalidTokenizer } from './format.js'
import { openTokenizer } from './huggingFace.js'
import { openSentencePiece } from './sentencePiece/openSentencePiece.js'
import type { Tokenizer } from './tokenizer.js'

/** Looked for in a folder, in this order. */
const FILE_NAMES = ['tokenizer.json', 'spiece.model'] as const
const CONFIG_NAME = 'tokenizer_config.json'
/** Largest file that is read; those of vocabularies of 256,000 pieces have about 35 MB. */
const MAX_BYTES = 2 ** 27

/**
 * Opens a tokenizer, named by its file or by the folder it is in. A file `*.model` is read as a SentencePiece model, with as
 * many sentinels as a tokenizer_config.json beside it says (`extra_ids`); a folder's tokenizer.json comes before its
 * spiece.model. Throws `tokenizer.missing-file`, `tokenizer.unreadable-file`, `tokenizer.too-large`, and what
 * {@link openTokenizer} and {@link openSentencePiece} throw (`tokenizer.invalid` also for broken JSON).
 */
export async function readTokenizer(path: string): Promise<Tokenizer> {
  const file = await fileOf(path)
  const bytes = await readBounded(file)
  if (!file.endsWith('.model')) return openTokenizer(parseJson(bytes, file), file)
  return openSentencePiece(bytes, file, { extraIds: await readExtraIds(join(dirname(file), CONFIG_NAME)) })
}

async function fileOf(path: string): Promise<string> {
  if (!(await isFolder(path))) return path
  for (const name of FILE_NAMES) {
    const file = join(path, name)
    if (await stat(file).catch(() => undefined)) return file
  }
  return join(path, FILE_NAMES[0])
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

async function readBounded(file: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file)
    if (size <= MAX_BYTES) return await readFile(file)
  } catch (cause) {
    throw unreadable(file, cause)
  }
  throw new ShallowDeepError({
    code: 'tokenizer.too-large',
    message: `expected a tokenizer of at most ${MAX_BYTES / 2 ** 20} MiB at ${resolve(file)}, found a larger file`,
    details: { path: resolve(file) },
  })
}

function parseJson(bytes: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes))
  } catch (cause) {
    throw invalidTokenizer(file, `malformed JSON: ${oneLine(cause)}`, { cause })
  }
}

/** The number of sentinels that a tokenizer_config.json names, if it is there and does. */
async function readExtraIds(file: string): Promise<number | undefined> {
  const isThere = await stat(file).catch(() => undefined)
  if (!isThere) return undefined
  const config = parseJson(await readBounded(file), file)
  const extraIds: unknown = (config as { extra_ids?: unknown } | null)?.extra_ids
  if (extraIds === undefined || extraIds === null) return undefined
  if (typeof extraIds === 'number' && Number.isInteger(extraIds) && extraIds >= 0 && extraIds <= 10_000) {
    return extraIds
  }
  throw invalidTokenizer(file, 'expected an integer from 0 to 10000 under extra_ids')
}

function unreadable(file: string, cause: unknown): ShallowDeepError {
  const path = resolve(file)
  const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
  return new ShallowDeepError({
    code: isMissing ? 'tokenizer.missing-file' : 'tokenizer.unreadable-file',
    message: isMissing
      ? `expected a tokenizer at ${path}, found no such file`
      : `cannot read the tokenizer at ${path}: ${oneLine(cause)}`,
    hint: `name a ${FILE_NAMES.join(' or ')} or the folder it is in; shallowdeep tokenizer train makes one`,
    details: { path },
    cause,
  })
}

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ')
}
