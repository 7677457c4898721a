// The canonical checkpoint folder on disk: read whole (never half of an old and half of a new one), written whole.
import { existsSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ShallowDeepError } from '../errors.js'
import {
  MAX_JSON_BYTES,
  missingFile,
  parseAttachments,
  parseConfigJson,
  streamCheckpointFiles,
  WEIGHTS_FILE,
} from './files.js'
import type { Checkpoint, CheckpointContents, StorageOptions } from './files.js'
import { parseJsonObject } from './json.js'
import { findPublished, hasErrorCode, publishFolder, readIfPresent } from './publish.node.js'
import { readRun, RUN_INDEX_FILE } from './run.node.js'
import { openSafetensorsFile } from './safetensorsFile.node.js'
import type { OpenSafetensorsFile } from './safetensorsFile.node.js'
import { checkShards, MAX_INDEX_BYTES, parseShardIndex, SHARD_INDEX_FILE } from './shards.js'
import { readWeights } from './weights.js'
import type { ModelWeights } from './weights.js'

/**
 * Reads a checkpoint folder: `config.json`, `model.safetensors` or its shards (float16 and bfloat16 are widened), and
 * where they are there `tokenizer.json` and `calibration.json`. Tensors are read one by one: beside the weights it takes
 * the memory of two of them. `shallowLayers` overrides what the config says. The folder may be overwritten by another
 * process meanwhile: one of the two is returned whole. Changes nothing on disk.
 * Throws `checkpoint.missing-folder`, `checkpoint.not-a-folder`, `checkpoint.unreadable`, `checkpoint.too-large` (a JSON
 * file beyond any sense) and what {@link fromCheckpointFiles} throws.
 */
export async function readCheckpointFolder(
  path: string,
  options: { readonly shallowLayers?: number } = {},
): Promise<Checkpoint> {
  const { files, weights } = await openFolder(path)
  try {
    const configJson = parseConfigJson(files.get('config.json'), path)
    if (weights.length === 0) throw missingFile(WEIGHTS_FILE, path)
    const model = await readModel(weights, { configJson, path, ...options })
    return { ...model, ...parseAttachments(files, path) }
  } finally {
    await closeAll(weights)
  }
}

async function readModel(
  weights: readonly OpenSafetensorsFile[],
  options: { readonly configJson: unknown; readonly path: string; readonly shallowLayers?: number },
): Promise<ModelWeights> {
  const { configJson, path, shallowLayers } = options
  const headers = new Map(weights.flatMap(({ entries }) => [...entries]))
  const fileOf = new Map(weights.flatMap((file) => [...file.entries.keys()].map((name) => [name, file])))
  const reading = readWeights(headers, configJson, path, { shallowLayers })
  let step = reading.next()
  while (!step.done) step = reading.next(await fileOf.get(step.value)!.read(step.value))
  return step.value
}

async function closeAll(files: readonly OpenSafetensorsFile[]): Promise<void> {
  for (const file of files) await file.close()
}

/**
 * Writes a checkpoint folder, whole or not at all: a kill at any moment leaves the old state or the new one.
 * `dtype` (default `float32`): how weights are stored; `overwrite` (default false): replace a checkpoint that is there,
 * with all its files.
 * Throws what {@link streamCheckpointFiles} and {@link publishFolder} throw: `checkpoint.exists`,
 * `checkpoint.write-failed`, ...
 */
export async function writeCheckpointFolder(
  path: string,
  contents: CheckpointContents,
  { dtype, overwrite = false }: StorageOptions & { readonly overwrite?: boolean } = {},
): Promise<void> {
  await publishFolder(path, streamCheckpointFiles(contents, { dtype }), { overwrite, marker: 'config.json' })
}

/** A published state: its small files, and those of its weights, open: they stay what they are if it is overwritten. */
interface OpenedFolder {
  readonly files: ReadonlyMap<string, Uint8Array>
  /** None, one, or the shards. */
  readonly weights: readonly OpenSafetensorsFile[]
}

/** Opens one published state. A published folder never changes but as a whole, so its identity tells. */
async function openFolder(path: string): Promise<OpenedFolder> {
  for (let attempt = 0; ; attempt++) {
    const folder = await findPublished(path)
    if (folder === undefined) throw missingFolder(path)
    const before = await identify(folder)
    const isSame = async () => {
      const found = await findPublished(path)
      return before !== undefined && found !== undefined && before === (await identify(found))
    }
    const weights: OpenSafetensorsFile[] = []
    try {
      const files = await readFiles(folder)
      await openWeights(folder, path, weights)
      if (await isSame()) {
        if (!files.has('config.json')) await refuseRun(path, folder)
        return { files, weights }
      }
    } catch (error) {
      await closeAll(weights)
      // What is wrong with half of an old state and half of a new one is wrong with neither.
      if (await isSame()) throw error
    }
    await closeAll(weights)
    if (attempt >= 20) {
      throw new ShallowDeepError({
        code: 'checkpoint.unreadable',
        message: `${path} was overwritten ${attempt + 1} times while it was being read`,
        hint: 'wait until its writer has finished',
        details: { path },
        kind: 'failure',
      })
    }
  }
}

async function readFiles(folder: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  for (const [name, maxBytes] of Object.entries(MAX_JSON_BYTES)) {
    const bytes = await readIfPresent(join(folder, name), maxBytes)
    if (bytes) files.set(name, bytes)
  }
  return files
}

/** Opens the file of weights, or the shards, into `opened`, so that the caller can close them whatever happens. */
async function openWeights(folder: string, path: string, opened: OpenSafetensorsFile[]): Promise<void> {
  const whole = await openSafetensorsFile(join(folder, WEIGHTS_FILE))
  if (whole) {
    opened.push(whole)
    return
  }
  const indexPath = join(folder, SHARD_INDEX_FILE)
  const bytes = await readIfPresent(indexPath, MAX_INDEX_BYTES)
  if (!bytes) return
  const index = parseShardIndex(parseJsonObject(bytes, indexPath), indexPath)
  const tensorsOf = new Map<string, Iterable<string>>()
  for (const name of index.files) {
    const shard = await openSafetensorsFile(join(folder, name))
    if (!shard) throw missingFile(name, path)
    opened.push(shard)
    tensorsOf.set(name, shard.entries.keys())
  }
  checkShards(index, tensorsOf, indexPath)
}

/** What tells one published folder from its successor, and from itself with a file replaced. */
async function identify(folder: string): Promise<string | undefined> {
  try {
    const { dev, ino, mtimeNs, birthtimeNs } = await stat(folder, { bigint: true })
    return [dev, ino, mtimeNs, birthtimeNs].join(' ')
  } catch (error) {
    if (hasErrorCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function missingFolder(path: string): ShallowDeepError {
  const absolute = resolve(path)
  return new ShallowDeepError({
    code: 'checkpoint.missing-folder',
    message:
      `no checkpoint folder ${path} with files in it` +
      (absolute === path ? '' : ` (looked for ${absolute})`),
    hint: 'give the folder that holds config.json and model.safetensors',
    details: { path, absolute },
  })
}

/** A run's folder given instead of one of its checkpoints is a likely mistake: say which one to take. */
async function refuseRun(path: string, folder: string): Promise<void> {
  if (!existsSync(join(folder, RUN_INDEX_FILE))) return
  const run = await readRun(folder)
  const checkpoint = run.best() ?? run.last()
  throw new ShallowDeepError({
    code: 'checkpoint.missing-file',
    message: `${path}: expected a checkpoint with a file config.json, found the folder of a training run`,
    hint:
      checkpoint === undefined ? 'it has no checkpoint yet' : `give one of its checkpoints: ${checkpoint}`,
    details: { path, name: 'config.json', checkpoint: checkpoint ?? null },
  })
}
