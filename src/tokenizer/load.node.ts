// Tokenizers from files.
import { readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ShallowDeepError } from '../errors.js'
import { invalidTokenizer } from './format.js'
import { openTokenizer } from './huggingFace.js'
import type { Tokenizer } from './tokenizer.js'

const FILE_NAME = 'tokenizer.json'

/**
 * Opens a tokenizer.json, named by itself or by the folder it is in. Throws `tokenizer.missing-file`,
 * `tokenizer.unreadable-file`, and what {@link openTokenizer} throws (`tokenizer.invalid` also for broken JSON).
 */
export async function readTokenizer(path: string): Promise<Tokenizer> {
  const file = (await isFolder(path)) ? join(path, FILE_NAME) : path
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw unreadable(file, cause)
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw invalidTokenizer(file, `malformed JSON: ${oneLine(cause)}`, cause)
  }
  return openTokenizer(json, file)
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

function unreadable(file: string, cause: unknown): ShallowDeepError {
  const path = resolve(file)
  const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
  return new ShallowDeepError({
    code: isMissing ? 'tokenizer.missing-file' : 'tokenizer.unreadable-file',
    message: isMissing
      ? `expected a tokenizer at ${path}, found no such file`
      : `cannot read the tokenizer at ${path}: ${oneLine(cause)}`,
    hint: `name a ${FILE_NAME} or the folder it is in; shallowdeep tokenizer train makes one`,
    details: { path },
    cause,
  })
}

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ')
}
