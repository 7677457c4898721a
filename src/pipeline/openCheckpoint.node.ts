// A checkpoint's folder as a model that reads and writes text: weights, tokenizer, saved calibration, and the engine of
// choice.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readCheckpointFolder, readRun, RUN_INDEX_FILE } from '../checkpoint/index.node.js'
import type { ModelConfig } from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import type { TextModel } from './generate.js'
import {
  checkEngineOptions,
  openEngine,
  type EngineDescription,
  type EngineOptions,
} from './openEngine.node.js'
import { openText } from './textCheckpoint.js'

export interface OpenCheckpointOptions extends EngineOptions {
  /** A shallow exit in place of the checkpoint's own S. Neutral: undefined. */
  readonly shallowLayers?: number
}

/** A model from a folder. The caller disposes it. */
export interface OpenedCheckpoint extends TextModel {
  /** The folder that was read. */
  readonly folder: string
  readonly config: ModelConfig
  readonly backend: EngineDescription
  /** Frees the weights; idempotent. */
  dispose(): void
}

/**
 * Opens a checkpoint's folder, or the best checkpoint of a training run's folder. Throws what reading folders,
 * {@link openEngine} and {@link openText} throw.
 */
export async function openCheckpoint(
  path: string,
  options: OpenCheckpointOptions = {},
): Promise<OpenedCheckpoint> {
  const { shallowLayers, ...engineOptions } = options
  checkEngineOptions(engineOptions)
  const folder = await findCheckpoint(path)
  const checkpoint = await readCheckpointFolder(folder, { shallowLayers })
  const { config, weights, tokenizer, calibration } = openText(checkpoint, folder)
  const { engine, backend } = await openEngine({ config, weights }, engineOptions)
  return {
    folder,
    config,
    tokenizer,
    engine,
    backend,
    ...(calibration && { calibration }),
    dispose: () => engine.dispose(),
  }
}

/**
 * The folder of a checkpoint: `path` itself or, where it is the folder of a training run, its best one (the last one
 * where no best is named). Throws `checkpoint.empty-run`, and what reading a run throws.
 */
export async function findCheckpoint(path: string): Promise<string> {
  const isRun = existsSync(join(path, RUN_INDEX_FILE)) && !existsSync(join(path, 'config.json'))
  if (!isRun) return path
  const run = await readRun(path)
  const folder = run.best() ?? run.last()
  if (folder !== undefined) return folder
  throw new ShallowDeepError({
    code: 'checkpoint.empty-run',
    message: `the training run ${path} has no checkpoint yet`,
    hint: 'wait for its first one, or name another folder',
    details: { path },
  })
}
