// A Hugging Face T5 checkpoint, from a folder or the hub, as a canonical checkpoint of ours: any sharding and half precision
// read, old names settled, a shallow exit added, the tokenizer as tokenizer.json.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  checkPublishable,
  fetchFromHub,
  isHubId,
  readCheckpointFolder,
  readIfPresent,
  writeCheckpointFolder,
  type HubOptions,
} from '../checkpoint/index.node.js'
import { parseJsonObject, type JsonObject } from '../checkpoint/index.js'
import type { ImportOptions, ModelConfig } from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import { openTokenizer, sentencePieceToTokenizerJson } from '../tokenizer/index.js'

/** What was imported. */
export interface ImportedCheckpoint {
  /** The new folder. */
  readonly output: string
  /** Folder that was read: the one that was named, or the hub's cached snapshot. */
  readonly source: string
  /** Commit of a hub model; else null. */
  readonly commit: string | null
  /** Whether a hub model came from the cache because the hub was not asked, or could not be reached. */
  readonly isFromCacheAlone: boolean
  readonly config: ModelConfig
  readonly numParameters: number
  /** File that the tokenizer was made from; null where there was none. */
  readonly tokenizer: 'tokenizer.json' | 'spiece.model' | null
}

/**
 * Imports a T5 folder or hub model. Mistakes are told before anything is read or downloaded, as far as they show. A
 * calibration is not taken over: it belongs to the shallow exit that it was made with.
 * Throws what reading and writing checkpoint folders, {@link fetchFromHub} and opening tokenizers throws, and
 * `checkpoint.bad-source` (neither a folder nor a hub id) and `checkpoint.wrong-tokenizer` (more ids than the model has).
 * @param from a folder, or a hub id (`google/flan-t5-small`) where there is no such folder
 */
export async function importCheckpoint(
  from: string,
  options: ImportOptions & Pick<HubOptions, 'hubUrl' | 'cacheFolder' | 'onProgress' | 'signal'>,
): Promise<ImportedCheckpoint> {
  const { output, shallowLayers, dtype, overwrite } = options
  await checkPublishable(output, { overwrite, marker: 'config.json' })
  const found = await locate(from, options)
  const { config, weights, tokenizerJson } = await readCheckpointFolder(found.folder, { shallowLayers })
  const tokenizer = await readTokenizerJson(found.folder, tokenizerJson)
  if (tokenizer.json) checkTokenizer(tokenizer.json, config, found.folder)
  options.signal?.throwIfAborted()
  const contents = { config, weights, ...(tokenizer.json && { tokenizerJson: tokenizer.json }) }
  await writeCheckpointFolder(output, contents, { dtype, overwrite })
  return {
    output,
    source: found.folder,
    commit: found.commit,
    isFromCacheAlone: found.isFromCacheAlone,
    config,
    numParameters: [...weights.values()].reduce((sum, { data }) => sum + data.length, 0),
    tokenizer: tokenizer.file,
  }
}

async function locate(from: string, options: Parameters<typeof importCheckpoint>[1]) {
  if (existsSync(from)) return { folder: from, commit: null, isFromCacheAlone: false }
  if (isHubId(from)) return fetchFromHub(from, options)
  throw new ShallowDeepError({
    code: 'checkpoint.bad-source',
    message: `expected a folder or the id of a hub model (owner/name), got ${from}: there is no such folder`,
    hint: 'check the path; it is taken from the current folder',
    details: { from },
  })
}

/** Sizes that no vocabulary and no settings file exceed. */
const MAX_MODEL_BYTES = 256e6
const MAX_SETTINGS_BYTES = 16e6

async function readTokenizerJson(
  folder: string,
  json: JsonObject | undefined,
): Promise<{ readonly json?: JsonObject; readonly file: ImportedCheckpoint['tokenizer'] }> {
  if (json) return { json, file: 'tokenizer.json' }
  const path = join(folder, 'spiece.model')
  const bytes = await readIfPresent(path, MAX_MODEL_BYTES)
  if (!bytes) return { file: null }
  const settingsPath = join(folder, 'tokenizer_config.json')
  const settings = await readIfPresent(settingsPath, MAX_SETTINGS_BYTES)
  const extraIds = settings && parseJsonObject(settings, settingsPath).extra_ids
  const options = typeof extraIds === 'number' ? { extraIds } : {}
  return { json: sentencePieceToTokenizerJson(bytes, path, options), file: 'spiece.model' }
}

/** A tokenizer that cannot be opened, or has ids beyond the embedding, would fail at the first text only. */
function checkTokenizer(json: JsonObject, config: ModelConfig, folder: string): void {
  const { vocabSize } = openTokenizer(json, join(folder, 'tokenizer.json'))
  if (vocabSize <= config.vocabSize) return
  throw new ShallowDeepError({
    code: 'checkpoint.wrong-tokenizer',
    message: `${folder}: the tokenizer has ${vocabSize} ids, the model's vocabulary ${config.vocabSize}`,
    hint: 'the tokenizer belongs to another model',
    details: { folder, tokenizer: vocabSize, model: config.vocabSize },
  })
}
