// A checkpoint given out to other programs: the Hugging Face ecosystem, or TensorFlow.js alone.
import { checkPublishable, publishFolder, readCheckpointFolder } from '../checkpoint/index.node.js'
import { toJsonText, type Checkpoint, type FileContent } from '../checkpoint/index.js'
import type { ExportOptions } from '../config/index.js'
import { chooseBackend } from '../engines/tfjs/index.node.js'
import { buildModel } from '../model/index.js'
import { toHuggingFaceFiles } from './huggingFaceFiles.js'
import { findCheckpoint } from './openCheckpoint.node.js'
import { TFJS_MODEL_FILE, toTfjsFiles } from './tfjsFiles.js'

/** What was exported. */
export interface ExportedCheckpoint {
  /** The checkpoint that was read. */
  readonly checkpoint: string
  readonly format: ExportOptions['format']
  /** The new folder, and its files by name. */
  readonly output: string
  readonly files: readonly string[]
}

/**
 * Exports a checkpoint's folder, or the best checkpoint of a training run. The folder is there whole or not at all. For tfjs
 * the default backend becomes the current one.
 * Throws what reading checkpoints and publishing folders throws, and `checkpoint.float16-overflow`.
 */
export async function exportCheckpoint(options: ExportOptions): Promise<ExportedCheckpoint> {
  const { format, output, overwrite } = options
  const publishing = { overwrite, marker: format === 'tfjs' ? TFJS_MODEL_FILE : 'config.json' }
  await checkPublishable(output, publishing)
  const folder = await findCheckpoint(options.checkpoint)
  const checkpoint = await readCheckpointFolder(folder)
  const files =
    format === 'tfjs' ? await toTfjs(checkpoint, options) : toHuggingFaceFiles(checkpoint, options)
  await publishFolder(output, files, publishing)
  return { checkpoint: folder, format, output, files: [...files.keys()].sort() }
}

async function toTfjs(
  { config, weights, tokenizerJson }: Checkpoint,
  { dtype }: ExportOptions,
): Promise<Map<string, FileContent>> {
  await chooseBackend({})
  const model = buildModel(config, weights)
  try {
    const files = await toTfjsFiles(model, { dtype: dtype === 'float16' ? 'float16' : 'float32' })
    if (tokenizerJson) files.set('tokenizer.json', toJsonText(tokenizerJson))
    return files
  } finally {
    model.dispose()
  }
}
