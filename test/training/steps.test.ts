// Three whole steps of the training loop (Adafactor, clipping, smoothing, joint loss) against the same three in PyTorch,
// with the batch in one piece, accumulated from small batches, and cut by maxPassTokens.
import assert from 'node:assert/strict'
import { trainingConfigSchema, type TrainingConfig } from '../../src/config/index.js'
import type { EncodedExample } from '../../src/data/index.js'
import { buildModel } from '../../src/model/index.js'
import { train } from '../../src/training/index.js'
import { readParityModel } from '../golden/parity.js'
import { onEachBackend } from './onEachBackend.js'
import { assertNear, inOurNames, readMainBatch, readVectors, readVectorTensors } from './reference.js'

interface ReferenceStep {
  readonly parts: readonly number[]
  readonly gradientNorm: number
}

const reference = readVectors<{
  readonly shallowLayers: number
  readonly learningRate: number
  readonly maxGradientNorm: number
  readonly labelSmoothing: number
  readonly steps: readonly ReferenceStep[]
}>('steps.json')

/**
 * Of each weight's largest value: the 16 bits of the vectors (1.5e-5), and float32. (Adafactor divides by the gradients'
 * own size, which makes a small error of a small gradient one of a whole step, 1e-2; with this batch it stays below.)
 */
const WEIGHT_TOLERANCE = 3e-5

/** The examples of the vectors' batch: rows without their padding. */
function readExamples(): EncodedExample[] {
  const { input_ids, attention_mask, labels } = readMainBatch('v10')
  return input_ids.map((row, i) => ({
    source: Int32Array.from(row.filter((_, position) => attention_mask[i][position] === 1)),
    target: Int32Array.from(labels[i].filter((label) => label !== -100)),
  }))
}

/** Each an epoch of one step; the order of the examples is ours, and does not matter to a sum. */
const WAYS: Record<string, Partial<TrainingConfig>> = {
  'one batch': { batchSize: 5 },
  'three unequal batches, accumulated': { batchSize: 2, accumulationSteps: 3 },
  'one batch in parts of two rows': { batchSize: 5, maxPassTokens: 2 * (12 + 9) },
}

describe('three training steps', () => {
  const examples = readExamples()
  const wanted = inOurNames(readVectorTensors('steps-v10.safetensors.gz'), 'v10')

  onEachBackend(() => {
    for (const [way, changed] of Object.entries(WAYS)) {
      it(`${way}: losses, gradient norms and weights are the reference's`, async () => {
        const { config, weights } = readParityModel('v10', reference.shallowLayers)
        const model = buildModel({ ...config, dropout: 0 }, weights)
        const training = trainingConfigSchema.parse({
          steps: reference.steps.length,
          optimiser: 'adafactor',
          learningRate: reference.learningRate,
          schedule: 'constant',
          warmupSteps: 0,
          maxGradientNorm: reference.maxGradientNorm,
          labelSmoothing: reference.labelSmoothing,
          ...changed,
        })
        const steps: number[] = []
        for await (const event of train({ model, examples, config: training, save: async () => {} })) {
          if (event.type !== 'step') continue
          const { parts, gradientNorm } = reference.steps[event.step - 1]
          steps.push(event.step)
          const losses = [event.loss, event.shallowLoss, event.deepLoss]
          assertNear(losses, parts.slice(0, 3), { tolerance: 1e-6, what: `losses of step ${event.step}` })
          // wasm adds up tens of thousands of squares one by one in float32: 1.3e-5. Native: 2e-7.
          assertNear([event.gradientNorm], [gradientNorm], { tolerance: 2e-5, what: 'gradient norm' })
        }
        assert.deepEqual(steps, [1, 2, 3])
        const reached = await model.readWeights()
        for (const [name, { data }] of wanted) {
          assertNear(reached.get(name)!.data, data, { tolerance: WEIGHT_TOLERANCE, what: name })
        }
        model.dispose()
      })
    }
  })
})
