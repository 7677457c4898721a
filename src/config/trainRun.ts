// Everything that a training run from files takes: data, tokenizer, the model's shape, training options, backend.
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

/** Schema of {@link TrainRunConfig}. */
export const trainRunSchema = z
  .strictObject({
    output: folderPath.describe('the run: checkpoints, log.jsonl and config.yaml'),
    resume: z.boolean().default(false).describe('go on with the run in the output folder, with its settings'),
    data: dataPath,
    ...columnsShape,
    tokenizer: filePath.describe('tokenizer.json, as shallowdeep tokenizer train writes it'),
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
      .describe('validation examples that are decoded for BLEU, from the first on; 0: none'),
    ...taskShape,
    ...modelShape,
    ...learningShape,
    ...backendShape,
    logEvery: z.number().int().positive().default(10).describe('steps between lines of log.jsonl'),
  })
  .refine(({ shallowLayers, decoderLayers }) => shallowLayers < decoderLayers, {
    path: ['shallowLayers'],
    message: 'must be less than the decoder layers: the shallow exit comes before the last layer',
  })
  .superRefine(refineLearning)

/** A training run from files, complete. */
export type TrainRunConfig = Readonly<z.output<typeof trainRunSchema>>

/** What of a run's configuration decides what a step computes. */
export function trainingPartOf(config: TrainRunConfig): TrainingConfig {
  const known = new Set(Object.keys(trainingConfigSchema.shape))
  return trainingConfigSchema.parse(
    Object.fromEntries(Object.entries(config).filter(([key]) => known.has(key))),
  )
}

/** What of a run's configuration is the model's shape. */
export function modelPartOf(config: TrainRunConfig): Pick<ModelConfig, keyof typeof modelShape> {
  return pick(config, Object.keys(modelShape) as (keyof typeof modelShape)[])
}

function pick<T extends object, K extends keyof T>(value: T, keys: readonly K[]): Pick<T, K> {
  return Object.fromEntries(
    keys.filter((key) => value[key] !== undefined).map((key) => [key, value[key]]),
  ) as Pick<T, K>
}
