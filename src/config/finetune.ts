// Everything that fine-tuning takes: the checkpoint to begin from, what of it changes, and training options with defaults
// that fit a model which has learnt already.
import { z } from 'zod'
import { modelConfigSchema } from './model.js'
import { folderPath } from './runtime.js'
import { learningShape, refineLearning, refineTuning, tuningShape } from './training.js'
import { runShape } from './trainRun.js'

/** What of the checkpoint's model may be another. */
export const modelChangeShape = {
  shallowLayers: z
    .union([z.number().int().positive(), z.literal('auto')], { error: 'expected a number from 1, or auto' })
    .optional()
    .describe(
      'the shallow exit comes after this many decoder layers; auto: where it gains most, as choose-depth ' +
        'measures it; default: as in the checkpoint, else half',
    )
    .meta({ placeholder: 'n|auto' }),
  dropout: modelConfigSchema.shape.dropout
    .unwrap()
    .optional()
    .describe('dropout rate while training; default: that of the checkpoint'),
  confidenceHead: modelConfigSchema.shape.confidenceHead,
}

/**
 * Defaults are those of T5's own fine-tuning (Raffel et al. 2020, section 3.1.2): Adafactor at a constant 1e-3, relative to
 * the size of each parameter, no warm-up, no label smoothing; a warm-up and a decay would only forget slower what is to be
 * kept. Inputs may be longer than from scratch, so that fewer go through at once.
 */
const finetuningShape = {
  ...learningShape,
  batchSize: learningShape.batchSize.default(32),
  maxPassTokens: learningShape.maxPassTokens.default(4096),
  maxSourceLength: learningShape.maxSourceLength.default(512),
  optimiser: learningShape.optimiser
    .unwrap()
    .optional()
    .describe(
      'default: adafactor; adamw for low-rank updates, which begin at zero and have no size to scale by',
    ),
  learningRate: learningShape.learningRate
    .unwrap()
    .optional()
    .describe(
      'peak; default: 1e-3, for adafactor relative to the size of each parameter; 3e-4 for adamw on whole weights',
    ),
  schedule: learningShape.schedule.default('constant'),
  warmupSteps: learningShape.warmupSteps.default(0),
  labelSmoothing: learningShape.labelSmoothing.default(0),
}

/** Schema of {@link FinetuneOptions}. */
export const finetuneSchema = z
  .strictObject({
    from: folderPath.describe(
      "the checkpoint to begin from: its folder, or a training run's, whose best one is taken",
    ),
    ...runShape,
    ...modelChangeShape,
    ...finetuningShape,
    ...tuningShape,
  })
  .superRefine(refineLearning)
  .superRefine(refineTuning)
  .refine(({ loraRank, optimiser }) => loraRank === undefined || optimiser !== 'adafactor', {
    path: ['optimiser'],
    message:
      'adafactor scales updates by the size of each parameter, and low-rank updates begin at zero: take adamw',
  })

/** Options of fine-tuning as a caller gives them, checked. */
export type FinetuneOptions = Readonly<z.output<typeof finetuneSchema>>

/** Options of fine-tuning, complete. */
export type FinetuneConfig = FinetuneOptions &
  Readonly<Required<Pick<FinetuneOptions, 'optimiser' | 'learningRate'>>>

/** Fills in the optimiser and the learning rate, whose defaults depend on what is trained. */
export function completeFinetune(options: FinetuneOptions): FinetuneConfig {
  const { loraRank } = options
  const optimiser = options.optimiser ?? (loraRank === undefined ? 'adafactor' : 'adamw')
  const learningRate = options.learningRate ?? (optimiser === 'adamw' && loraRank === undefined ? 3e-4 : 1e-3)
  return { ...options, optimiser, learningRate }
}
