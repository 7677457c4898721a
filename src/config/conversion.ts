// Options of taking checkpoints in from the Hugging Face ecosystem and giving them out to other programs.
import { z } from 'zod'
import { folderPath, precisionShape } from './runtime.js'

const positive = z.number().int().positive()

/** Schema of the options of `import`. */
export const importOptionsSchema = z.strictObject({
  output: folderPath.describe('the new checkpoint'),
  shallowLayers: positive
    .optional()
    .describe(
      'the shallow exit comes after this many decoder layers; default: what the source says, else half',
    ),
  revision: z
    .string()
    .min(1)
    .default('main')
    .describe('branch, tag or commit of a hub model')
    .meta({ placeholder: 'name' }),
  dtype: z
    .enum(['float32', 'float16', 'bfloat16'])
    .default('float32')
    .describe('how weights are stored; computation is in float32'),
  overwrite: z.boolean().default(false).describe('replace a checkpoint that is there'),
})

/** Formats of `export`, and what each can store. */
export const EXPORT_DTYPES = {
  huggingface: ['float32', 'float16', 'bfloat16'],
  tfjs: ['float32', 'float16'],
  onnx: ['float32', 'int8', 'q4'],
} as const

/** Name of a format. */
export type ExportFormat = keyof typeof EXPORT_DTYPES

/** Schema of the options of `export`. */
export const exportOptionsSchema = z
  .strictObject({
    checkpoint: folderPath.describe("a checkpoint's folder, or a training run's, whose best one is taken"),
    format: z
      .enum(['huggingface', 'tfjs', 'onnx'])
      .describe('huggingface (T5ForConditionalGeneration), tfjs (tf.loadLayersModel) or onnx (graphs)'),
    output: folderPath.describe('the new folder'),
    dtype: z
      .enum(['float32', 'float16', 'bfloat16', 'int8', 'q4'])
      .default('float32')
      .describe('how weights are stored; int8 and q4 are of onnx'),
    keepFloat: precisionShape.keepFloat,
    overwrite: z.boolean().default(false).describe('replace an export that is there'),
  })
  .superRefine(({ format, dtype, keepFloat }, context) => {
    const stored: readonly string[] = EXPORT_DTYPES[format]
    if (!stored.includes(dtype)) {
      const names = `${stored.slice(0, -1).join(', ')} or ${stored.at(-1)}`
      context.addIssue({ code: 'custom', path: ['dtype'], message: `${format} stores ${names}` })
    }
    if (keepFloat && format !== 'onnx') {
      context.addIssue({ code: 'custom', path: ['keepFloat'], message: `is of onnx, not of ${format}` })
    }
  })

/** How a checkpoint is imported. */
export type ImportOptions = Readonly<z.output<typeof importOptionsSchema>>

/** How a checkpoint is exported. */
export type ExportOptions = Readonly<z.output<typeof exportOptionsSchema>>
