// Everything that a training run from files takes: data, validation, task, backend; and, for one that begins from scratch,
// the tokenizer and the model's shape. One that begins from a checkpoint: finetune.ts.
import { z } from 'zod'
import { modelConfigSchema, type ModelConfig } from './model.js'
import { backendShape, columnsShape, dataPath, filePath, folderPath, taskShape } from './runtime.js'
import { learningShape, refineLearning, trainingConfigSchema, type TrainingConfig } from './training.js'

const model = modelConfigSchema.shape

/** The model's shape, with a small thin and deep T5 as the default; what the tokenizer decides is left out. */
export const modelShape = {
  dModel: model.dModel.default(192),
  numHeads: model.numHeads.default(6),
  dKv: model.dKv.default(32),
  dFf: model.dFf.default(512),
  encoderLayers: model.encoderLayers.default(4),
  decoderLayers: model.decoderLayers.default(8),
  shallowLayers: model.shallowLayers.default(2),
  feedForward: model.feedForward,
  tieEmbeddings: model.tieEmbeddings,
  scaleLogits: model.scaleLogits,
  relativeBuckets: model.relativeBuckets,
  relativeMaxDistance: model.relativeMaxDistance,
  dropout: model.dropout,
  confidenceHead: model.confidenceHead,
}

/** What every training run from files takes beside its training options. */
export const runShape = {
  output: folderPath.describe('the run: checkpoints, log.jsonl and config.yaml'),
  resume: z.boolean().default(false).describe('go on with the run in the output folder, with its settings'),
  data: dataPath,
  ...columnsShape,
  validation: filePath
    .optional()
    .describe('examples to measure by; without, the last checkpoint is the best'),
  validationSourceColumn: z
    .string()
    .optional()
    .describe('column of the input text; default: that of the training data')
    .meta({ placeholder: 'name' }),
  validationTargetColumn: z
    .string()
    .optional()
    .describe('column of the wanted text; default: that of the training data')
    .meta({ placeholder: 'name' }),
  validationJsonReferences: z
    .boolean()
    .optional()
    .describe('target cells are JSON arrays of references; default: as in the training data'),
  validationLimit: z
    .number()
    .int()
    .nonnegative()
    .default(250)
    .describe(
      "validation examples that are decoded for BLEU and the task's metrics, from the first on; 0: none",
    ),
  ...taskShape,
  ...backendShape,
  logEvery: z.number().int().positive().default(10).describe('steps between lines of log.jsonl'),
}

/** What training runs have in common, whatever they begin from. */
export type RunConfig = Readonly<z.output<z.ZodObject<typeof runShape & typeof learningShape>>>

/** Schema of {@link TrainRunConfig}. */
export const trainRunSchema = z
  .strictObject({
    ...runShape,
    tokenizer: filePath.describe('tokenizer.json, as shallowdeep tokenizer train writes it'),
    ...modelShape,
    ...learningShape,
  })
  .refine(({ shallowLayers, decoderLayers }) => shallowLayers < decoderLayers, {
    path: ['shallowLayers'],
    message: 'must be less than the decoder layers: the shallow exit comes before the last layer',
  })
  .superRefine(refineLearning)

/** A training run from scratch, complete. */
export type TrainRunConfig = Readonly<z.output<typeof trainRunSchema>>

/** What of a run's configuration decides what a step computes. */
export function trainingPartOf(config: RunConfig): TrainingConfig {
  const known = new Set(Object.keys(trainingConfigSchema.shape))
  return trainingConfigSchema.parse(
    Object.fromEntries(Object.entries(config).filter(([key]) => known.has(key))),
  )
}

/** What of a run's configuration is the model's shape. */
export function modelPartOf(config: TrainRunConfig): Pick<ModelConfig, keyof typeof modelShape> {
  const keys = Object.keys(modelShape) as (keyof typeof modelShape)[]
  return Object.fromEntries(keys.map((key) => [key, config[key]])) as Pick<
    ModelConfig,
    keyof typeof modelShape
  >
}
