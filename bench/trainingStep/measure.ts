// Times steps of a training at the shipped checkpoint's shape, batch 128 x (9 + 9) random tokens.
import * as tf from '@tensorflow/tfjs'
import { trainingConfigSchema } from '../../src/config/index.js'
import type { TokenBatch } from '../../src/data/index.js'
import { buildModel, initialWeights } from '../../src/model/index.js'
import { Random } from '../../src/random.js'
import {
  batchGradients,
  clipGradients,
  createOptimiser,
  DropoutMasks,
  groupParameters,
  objectiveOf,
} from '../../src/training/index.js'
import { shapeConfig } from '../decode/shapes.js'

const [BATCH, LENGTH] = [128, 9]

/** Milliseconds of each step on tfjs's current backend. The first step, which warms up, is left out. */
export async function measureTrainingSteps(numSteps: number): Promise<number[]> {
  const config = shapeConfig('tiny')
  const model = buildModel(config, initialWeights(config, 1))
  const groups = groupParameters(model.variables)
  const optimiser = createOptimiser(groups, { name: 'adafactor', weightDecay: 0 })
  const masks = new DropoutMasks(config.dropout, 1)
  const batch = randomBatch(config.vocabSize)
  const objective = objectiveOf(
    trainingConfigSchema.parse({ distillation: 'logits', distillationWeight: 0.5, labelSmoothing: 0.1 }),
    config,
  )
  const times: number[] = []
  for (let step = 1; step <= numSteps + 1; step++) {
    const start = performance.now()
    masks.beginStep(step)
    const { numTokens } = batch
    const pass = { dropout: masks.apply }
    const found = batchGradients(model, batch, { objective, numTokens, groups, pass })
    const clipped = clipGradients(found.gradients, 1)
    optimiser.update(clipped.gradients, { learningRate: 1e-4 * step, step })
    await Promise.all([found.loss.data(), clipped.norm.data()])
    tf.dispose([found.loss, clipped.norm, clipped.gradients])
    if (step > 1) times.push(performance.now() - start)
  }
  return times
}

function randomBatch(vocabSize: number): TokenBatch {
  const random = new Random(5)
  const tokens = () => Int32Array.from({ length: BATCH * LENGTH }, () => 3 + random.integer(vocabSize - 3))
  return {
    batchSize: BATCH,
    sourceLength: LENGTH,
    targetLength: LENGTH,
    sources: tokens(),
    decoderInputs: tokens(),
    labels: tokens(),
    numTokens: BATCH * LENGTH,
    indices: Int32Array.from({ length: BATCH }, (_, row) => row),
  }
}
