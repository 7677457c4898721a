// Options of taking checkpoints in from the Hugging Face ecosystem and giving them out to other programs.
import { z } from 'zod'
import { folderPath } from './runtime.js'

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

/** Schema of the options of `export`. */
export const exportOptionsSchema = z
  .strictObject({
    checkpoint: folderPath.describe("a checkpoint's folder, or a training run's, whose best one is taken"),
    format: z
      .enum(['huggingface', 'tfjs'])
      .describe('huggingface (T5ForConditionalGeneration) or tfjs (tf.loadLayersModel)'),
    output: folderPath.describe('the new folder'),
    dtype: importOptionsSchema.shape.dtype,
    overwrite: z.boolean().default(false).describe('replace an export that is there'),
  })
  .refine(({ format, dtype }) => format !== 'tfjs' || dtype !== 'bfloat16', {
    path: ['dtype'],
    message: 'tfjs stores float32 or float16',
  })

/** How a checkpoint is imported. */
export type ImportOptions = Readonly<z.output<typeof importOptionsSchema>>

/** How a checkpoint is exported. */
export type ExportOptions = Readonly<z.output<typeof exportOptionsSchema>>
