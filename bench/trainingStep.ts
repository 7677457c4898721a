// Time of a training step at the shipped checkpoint's shape, batch 128 x (9 + 9) random tokens:
// tsx bench/trainingStep.ts <wasm|node> [steps]. Prints the median of the steps after the first, which warms up.
import * as tf from '@tensorflow/tfjs'
import { parseModelConfig, trainingConfigSchema } from '../src/config/index.js'
import type { TokenBatch } from '../src/data/index.js'
import type { BackendName } from '../src/engines/tfjs/index.js'
import { chooseBackend } from '../src/engines/tfjs/index.node.js'
import { buildModel, initialWeights } from '../src/model/index.js'
import { Random } from '../src/random.js'
import {
  batchGradients,
  clipGradients,
  createOptimiser,
  DropoutMasks,
  groupParameters,
  objectiveOf,
} from '../src/training/index.js'

const [BATCH, LENGTH, VOCABULARY] = [128, 9, 5000]
const [backend = 'wasm', steps = '6'] = process.argv.slice(2)
const chosen = await chooseBackend({ backend: backend as BackendName })
const config = parseModelConfig(
  {
    vocabSize: VOCABULARY,
    dModel: 192,
    numHeads: 6,
    dKv: 32,
    dFf: 448,
    encoderLayers: 4,
    decoderLayers: 12,
    shallowLayers: 2,
  },
  'this benchmark',
)
const model = buildModel(config, initialWeights(config, 1))
const groups = groupParameters(model.variables)
const optimiser = createOptimiser(groups, { name: 'adafactor', weightDecay: 0 })
const masks = new DropoutMasks(config.dropout, 1)
const random = new Random(5)
const tokens = () => Int32Array.from({ length: BATCH * LENGTH }, () => 3 + random.integer(VOCABULARY - 3))
const batch: TokenBatch = {
  batchSize: BATCH,
  sourceLength: LENGTH,
  targetLength: LENGTH,
  sources: tokens(),
  decoderInputs: tokens(),
  labels: tokens(),
  numTokens: BATCH * LENGTH,
  indices: Int32Array.from({ length: BATCH }, (_, row) => row),
}
const objective = objectiveOf(
  trainingConfigSchema.parse({ distillation: 'logits', distillationWeight: 0.5, labelSmoothing: 0.1 }),
  config,
)

const times: number[] = []
for (let step = 1; step <= Number(steps); step++) {
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
const sorted = times.sort((a, b) => a - b)
console.log(
  `${chosen.name}, ${chosen.threads} threads: ${sorted[Math.floor(sorted.length / 2)].toFixed(0)} ms a step ` +
    `(${sorted[0].toFixed(0)} to ${sorted[sorted.length - 1].toFixed(0)})`,
)
