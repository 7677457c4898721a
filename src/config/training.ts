// The training configuration: everything that decides what is learnt, so that it can be stored with the run.
import { z } from 'zod'
import { LORA_TARGETS } from './lora.js'
import { PART_NAMES, trainedParts } from './weightParts.js'

const count = z.number().int().nonnegative()
const positiveCount = z.number().int().positive()

/** What is learnt, and how: what every training has. */
export const learningShape = {
  seed: count.default(0).describe('seed of initial weights, order of examples and dropout'),
  epochs: z.number().positive().default(3).describe('passes over the data; steps, if given, wins'),
  steps: positiveCount.optional().describe('optimiser steps'),
  batchSize: positiveCount.default(64).describe('examples a batch'),
  accumulationSteps: positiveCount.default(1).describe('batches whose gradients make one step'),
  maxPassTokens: positiveCount
    .default(8192)
    .describe(
      'padded source and target tokens in one pass; a larger batch goes through in parts, to bound memory',
    ),
  maxSourceLength: positiveCount.default(128).describe('source tokens; longer ones are cut and counted'),
  maxTargetLength: positiveCount.default(128).describe('target tokens; longer ones are cut and counted'),
  optimiser: z
    .enum(['adafactor', 'adamw'])
    .default('adafactor')
    .describe('adafactor scales updates by the size of each parameter, which T5 needs from scratch'),
  learningRate: z
    .number()
    .positive()
    .default(2e-2)
    .describe('peak; for adafactor relative to the size of each parameter, for adamw absolute (try 1e-3)'),
  schedule: z
    .enum(['cosine', 'linear', 'inverse-sqrt', 'constant'])
    .default('cosine')
    .describe('how the learning rate falls after the warm-up'),
  warmupSteps: count.default(1000).describe('steps of linear warm-up'),
  weightDecay: z.number().nonnegative().default(0).describe('decoupled decay of the weights; 0: none'),
  maxGradientNorm: z
    .number()
    .nonnegative()
    .default(1)
    .describe('gradients are clipped to this norm; 0: never'),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(1)
    .default(0.1)
    .describe('probability spread over all tokens; 0: none'),
  loss: z
    .enum(['joint', 'calm'])
    .default('joint')
    .describe('joint: cross-entropy at the shallow and the deep exit; calm: after every decoder layer'),
  exitWeighting: z
    .union([z.enum(['layer-index', 'equal']), z.tuple([z.number().nonnegative(), z.number().nonnegative()])])
    .default('layer-index')
    .describe('weights of the cross-entropies; a pair, shallow and deep, for loss joint only'),
  distillation: z
    .enum(['none', 'last', 'uniform', 'dynamic', 'logits'])
    .default('none')
    .describe(
      'what the shallow exit learns from the deep one: logits, or states (last layer to last, each to a layer ' +
        'of its own, or to the most similar one)',
    ),
  distillationWeight: z
    .number()
    .nonnegative()
    .default(0.5)
    .describe('alpha, the weight of the distillation loss'),
  distillationTemperature: z
    .number()
    .positive()
    .default(1)
    .describe('distillation logits: softens both distributions; 1: as they are'),
  distillationMap: z
    .boolean()
    .default(false)
    .describe('distillation of states: through a learnt linear map, at first the identity'),
  layerDropout: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe('rate at which decoder layers are left out of a step, at its highest; 0: never'),
  layerDropoutGrowth: z
    .enum(['uniform', 'linear', 'exponential'])
    .default('exponential')
    .describe('how that rate rises with depth: not at all, or from the first layer (never) to the last'),
  validateEvery: count.default(0).describe('steps between validations; 0: once an epoch'),
  saveEvery: count.default(0).describe('steps between checkpoints; 0: at each validation'),
  keepCheckpoints: positiveCount.default(2).describe('newest checkpoints that are kept beside the best'),
}

const parts = z.array(z.enum(PART_NAMES)).meta({ placeholder: 'parts' })

/** Which parameters are trained: what a training of a model that has learnt already may choose. */
export const tuningShape = {
  train: parts
    .min(1)
    .optional()
    .describe(
      'train these parts only: embeddings, encoder, shallow-layers, deep-layers, head, confidence-head; ' +
        'decoder: all its layers; trunk: all but the heads',
    ),
  freeze: parts
    .optional()
    .describe('leave these parts as they are; the embeddings are the head of a tied model'),
  loraRank: positiveCount
    .optional()
    .describe('train low-rank updates (LoRA) of this rank in place of the weights themselves'),
  loraAlpha: z.number().positive().default(16).describe('the updates are scaled by alpha / rank'),
  loraTargets: z
    .array(z.enum(LORA_TARGETS))
    .min(1)
    .default(['query', 'value'])
    .describe('matrices that get updates: query, key, value, output (of attentions), feed-forward')
    .meta({ placeholder: 'list' }),
  loraDropout: z.number().min(0).lt(1).default(0).describe('dropout of what the updates read'),
}

/** Schema of {@link TrainingConfig}. */
export const trainingConfigSchema = z.strictObject({ ...learningShape, ...tuningShape })

/** Everything that decides what a training learns. */
export type TrainingConfig = Readonly<z.infer<typeof trainingConfigSchema>>

type Refusal = (key: keyof TrainingConfig, message: string) => void

/** What learning options ask of each other, for `superRefine`: so that no option is given in vain. */
export function refineLearning(
  config: Pick<TrainingConfig, 'loss' | 'exitWeighting' | 'distillation'> &
    Pick<TrainingConfig, 'distillationTemperature' | 'distillationMap'>,
  context: z.RefinementCtx,
): void {
  const refuse: Refusal = (key, message) => context.addIssue({ code: 'custom', path: [key], message })
  const { loss, distillation } = config
  if (loss === 'calm' && typeof config.exitWeighting !== 'string') {
    refuse('exitWeighting', 'a pair of weights belongs to loss joint; loss calm takes layer-index or equal')
  }
  if (config.distillationTemperature !== 1 && distillation !== 'logits') {
    refuse('distillationTemperature', `belongs to distillation logits, not to ${distillation}`)
  }
  if (config.distillationMap && (distillation === 'logits' || distillation === 'none')) {
    refuse('distillationMap', `belongs to distillation last, uniform or dynamic, not to ${distillation}`)
  }
}

/** What tuning options ask of each other, for `superRefine`. */
export function refineTuning(
  config: Pick<TrainingConfig, keyof typeof tuningShape>,
  context: z.RefinementCtx,
): void {
  const refuse: Refusal = (key, message) => context.addIssue({ code: 'custom', path: [key], message })
  if (config.train && config.freeze) {
    refuse('freeze', 'train says already what is trained; give one of the two')
  } else if (trainedParts(config).size === 0) {
    refuse('freeze', 'nothing is left to train')
  }
  if (config.loraRank !== undefined) return
  const { loraAlpha, loraTargets, loraDropout } = tuningShape
  const defaults = { loraAlpha, loraTargets, loraDropout }
  for (const [name, schema] of Object.entries(defaults)) {
    const key = name as keyof typeof defaults
    if (String(config[key]) !== String(schema.parse(undefined)))
      refuse(key, 'belongs to low-rank updates: they need a rank')
  }
}
