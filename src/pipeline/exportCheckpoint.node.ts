// A checkpoint given out to other programs: the Hugging Face ecosystem, TensorFlow.js alone, or ONNX Runtime.
import { checkPublishable, publishFolder, readCheckpointFolder } from '../checkpoint/index.node.js'
import { toJsonText, type Checkpoint, type FileContent } from '../checkpoint/index.js'
import type { EXPORT_DTYPES, ExportFormat, ExportOptions } from '../config/index.js'
import { chooseBackend } from '../engines/tfjs/index.node.js'
import { buildModel } from '../model/index.js'
import { toHuggingFaceFiles } from './huggingFaceFiles.js'
import { ONNX_ENCODER_FILE, toOnnxFiles } from './onnxFiles.js'
import { findCheckpoint } from './openCheckpoint.node.js'
import { TFJS_MODEL_FILE, toTfjsFiles } from './tfjsFiles.js'

/** What was exported. */
export interface ExportedCheckpoint {
  /** The checkpoint that was read. */
  readonly checkpoint: string
  readonly format: ExportFormat
  /** The new folder, and its files by name. */
  readonly output: string
  readonly files: readonly string[]
}

/** How a format is written, and the file that tells a folder of it from others. */
interface Writer {
  readonly marker: string
  toFiles(
    checkpoint: Checkpoint,
    options: ExportOptions,
  ): Map<string, FileContent> | Promise<Map<string, FileContent>>
}

/** The options' schema has seen to it that a format is given a dtype it stores. */
const writers: Readonly<Record<ExportFormat, Writer>> = {
  huggingface: {
    marker: 'config.json',
    toFiles: (checkpoint, { dtype }) =>
      toHuggingFaceFiles(checkpoint, { dtype: dtype as DtypeOf<'huggingface'> }),
  },
  tfjs: {
    marker: TFJS_MODEL_FILE,
    toFiles: (checkpoint, { dtype }) => toTfjs(checkpoint, dtype as DtypeOf<'tfjs'>),
  },
  onnx: {
    marker: ONNX_ENCODER_FILE,
    toFiles: (checkpoint, { dtype, keepFloat }) =>
      toOnnxFiles(checkpoint, { dtype: dtype as DtypeOf<'onnx'>, keepFloat }),
  },
}

type DtypeOf<Format extends ExportFormat> = (typeof EXPORT_DTYPES)[Format][number]

/**
 * Exports a checkpoint's folder, or the best checkpoint of a training run. The folder is there whole or not at all. For tfjs
 * the default backend becomes the current one.
 * Throws what reading checkpoints and publishing folders throws, `checkpoint.float16-overflow` and
 * `onnx.too-large`.
 */
export async function exportCheckpoint(options: ExportOptions): Promise<ExportedCheckpoint> {
  const { format, output, overwrite } = options
  const { marker, toFiles } = writers[format]
  const publishing = { overwrite, marker }
  await checkPublishable(output, publishing)
  const folder = await findCheckpoint(options.checkpoint)
  const checkpoint = await readCheckpointFolder(folder)
  const files = await toFiles(checkpoint, options)
  await publishFolder(output, files, publishing)
  return { checkpoint: folder, format, output, files: [...files.keys()].sort() }
}

async function toTfjs(
  { config, weights, tokenizerJson }: Checkpoint,
  dtype: DtypeOf<'tfjs'>,
): Promise<Map<string, FileContent>> {
  await chooseBackend({})
  const model = buildModel(config, weights)
  try {
    const files = await toTfjsFiles(model, { dtype })
    if (tokenizerJson) files.set('tokenizer.json', toJsonText(tokenizerJson))
    return files
  } finally {
    model.dispose()
  }
}
