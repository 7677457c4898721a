// The canonical checkpoint folder on disk: read whole (never half of an old and half of a new one), written whole.
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ShallowDeepError } from '../errors.js'
import { CHECKPOINT_FILES, fromCheckpointFiles, toCheckpointFiles } from './files.js'
import type { Checkpoint, CheckpointContents } from './files.js'
import { findPublished, hasErrorCode, publishFolder, readIfPresent } from './publish.node.js'
import { readRun, RUN_INDEX_FILE } from './run.node.js'

/**
 * Reads a checkpoint folder: `config.json`, `model.safetensors` (float16 and bfloat16 are widened), and where they are
 * there `tokenizer.json` and `calibration.json`. `shallowLayers` overrides what the config says. The folder may be
 * overwritten by another process meanwhile: one of the two is returned whole. Changes nothing on disk.
 * Throws `checkpoint.missing-folder`, `checkpoint.not-a-folder`, `checkpoint.unreadable` and what
 * {@link fromCheckpointFiles} throws.
 */
export async function readCheckpointFolder(
  path: string,
  options: { readonly shallowLayers?: number } = {},
): Promise<Checkpoint> {
  return fromCheckpointFiles(await readFiles(path), path, options)
}

/**
 * Writes a checkpoint folder, whole or not at all: a kill at any moment leaves the old state or the new one.
 * `dtype` (default `float32`): how weights are stored; `overwrite` (default false): replace a checkpoint that is there,
 * with all its files.
 * Throws what {@link toCheckpointFiles} and {@link publishFolder} throw: `checkpoint.exists`, `checkpoint.write-failed`, ...
 */
export async function writeCheckpointFolder(
  path: string,
  contents: CheckpointContents,
  options: { readonly dtype?: 'float32' | 'float16'; readonly overwrite?: boolean } = {},
): Promise<void> {
  const files = toCheckpointFiles(contents, { dtype: options.dtype ?? 'float32' })
  await publishFolder(path, files, { overwrite: options.overwrite ?? false, marker: 'config.json' })
}

/** The files of one published state. A published folder never changes but as a whole, so its identity tells. */
async function readFiles(path: string): Promise<ReadonlyMap<string, Uint8Array>> {
  for (let attempt = 0; ; attempt++) {
    const folder = await findPublished(path)
    if (folder === undefined) throw missingFolder(path)
    const before = await identify(folder)
    const files = new Map<string, Uint8Array>()
    for (const name of CHECKPOINT_FILES) {
      const bytes = await readIfPresent(join(folder, name))
      if (bytes) files.set(name, bytes)
    }
    const found = await findPublished(path)
    const isSame = before !== undefined && found !== undefined && before === (await identify(found))
    if (isSame) {
      if (!files.has('config.json')) await refuseRun(path, folder)
      return files
    }
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
  if (!(await readIfPresent(join(folder, RUN_INDEX_FILE)))) return
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
