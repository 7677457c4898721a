// The fused loss of the exits and its hand-written gradient against the textbook formulas under tfjs's own gradients; and
// that the states model and the LayersModel are one model. Against PyTorch: gradients.test.ts and objectives.test.ts.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import fc from 'fast-check'
import { parseModelConfig, trainingConfigSchema, type ModelConfig } from '../../src/config/index.js'
import { IGNORED_LABEL, type TokenBatch } from '../../src/data/index.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { buildModel, initialWeights } from '../../src/model/index.js'
import { Random } from '../../src/random.js'
import {
  batchLoss,
  calmExits,
  exitLoss,
  jointExits,
  objectiveOf,
  type ExitInputs,
  type ExitLossOptions,
} from '../../src/training/index.js'

const TOLERANCE = 2e-5

function assertNear(actual: tf.Tensor, expected: tf.Tensor, what: string): void {
  assert.deepEqual(actual.shape, expected.shape, what)
  const scale = Math.max(1e-3, tf.max(tf.abs(expected)).dataSync()[0])
  const worst = tf.max(tf.abs(tf.sub(actual, expected))).dataSync()[0]
  assert.ok(worst <= TOLERANCE * scale, `${what}: off by ${worst} on a scale of ${scale}`)
}

/** The formulas of DESIGN section 3, term by term, with one-hot labels and log-softmax. */
function textbookLoss(inputs: ExitInputs, options: ExitLossOptions, detached: ExitInputs): tf.Tensor1D {
  const { exits, head, labels } = inputs
  const vocabSize = head.shape[0]
  const { labelSmoothing: e, distillation, numTokens } = options
  const logits = (h: tf.Tensor2D, table: tf.Tensor2D) => tf.matMul(h, tf.transpose(table))
  const valid = tf.cast(tf.notEqual(labels, IGNORED_LABEL), 'float32')
  const oneHot = tf.oneHot(tf.maximum(labels, tf.scalar(0, 'int32')).toInt() as tf.Tensor1D, vocabSize)
  const meanOver = (perToken: tf.Tensor) => tf.div(tf.sum(tf.mul(perToken, valid)), numTokens)
  const losses = exits.map((h) => {
    const logP = tf.logSoftmax(logits(h, head))
    const nll = tf.neg(tf.sum(tf.mul(logP, oneHot), 1))
    return meanOver(tf.add(tf.mul(nll, 1 - e), tf.mul(tf.neg(tf.sum(logP, 1)), e / vocabSize)))
  })
  let divergence: tf.Tensor = tf.scalar(0)
  if (distillation) {
    const { student, temperature } = distillation
    const soften = (h: tf.Tensor2D, table: tf.Tensor2D) =>
      tf.logSoftmax(tf.div(logits(h, table), temperature))
    const teacher = soften(detached.exits.at(-1)!, detached.head)
    const gap = tf.sub(teacher, soften(exits[student], head))
    divergence = tf.mul(meanOver(tf.sum(tf.mul(tf.exp(teacher), gap), 1)), temperature ** 2)
  }
  const total = tf.addN([
    ...losses.map((loss, i) => tf.mul(loss, options.weights[i])),
    tf.mul(divergence, distillation?.weight ?? 0),
  ])
  return tf.stack([total, divergence, ...losses]) as tf.Tensor1D
}

interface Setting extends Omit<ExitLossOptions, 'numTokens'> {
  readonly isHeadFrozen?: boolean
}

const SETTINGS: Record<string, Setting> = {
  plain: { weights: [0.4, 0.6], labelSmoothing: 0 },
  smoothed: { weights: [0.4, 0.6], labelSmoothing: 0.1 },
  'a frozen head': { weights: [0.4, 0.6], labelSmoothing: 0.1, isHeadFrozen: true },
  distilled: {
    weights: [0.4, 0.6],
    labelSmoothing: 0,
    distillation: { student: 0, weight: 0.7, temperature: 1 },
  },
  'distilled, softened': {
    weights: [0.4, 0.6],
    labelSmoothing: 0.1,
    distillation: { student: 0, weight: 0.7, temperature: 3 },
  },
  'distilled, frozen head': {
    weights: [0.2, 0.6],
    labelSmoothing: 0.2,
    distillation: { student: 0, weight: 1.3, temperature: 1 },
    isHeadFrozen: true,
  },
  'four exits, the second distilled': {
    weights: [0.1, 0.2, 0.3, 0.4],
    labelSmoothing: 0.1,
    distillation: { student: 1, weight: 0.7, temperature: 1.5 },
  },
}

/** Random states, head and labels; ignored rows, a repeated label (its gradients add up), the first and the last id. */
function drawInputs(numExits: number, isHeadFrozen?: boolean): ExitInputs {
  const [N, D, V] = [11, 6, 17]
  const random = new Random(7)
  const draw = (rows: number, columns: number, scale: number) =>
    tf.tensor2d(
      Float32Array.from({ length: rows * columns }, () => scale * random.normal()),
      [rows, columns],
    )
  return {
    exits: Array.from({ length: numExits }, (_, i) => draw(N, D, 1 + 0.5 * i)),
    head: draw(V, D, 0.8),
    labels: tf.tensor1d([0, 16, 3, 3, -100, 5, 3, -100, 9, 12, 1], 'int32'),
    isHeadFrozen,
  }
}

describe('the loss of the exits', () => {
  before(() => chooseBackend({ backend: 'wasm' }))

  for (const [name, { isHeadFrozen, ...setting }] of Object.entries(SETTINGS)) {
    it(`${name}: value and gradients are the textbook formula's`, () => {
      const { numTensors } = tf.memory()
      tf.tidy(() => {
        const inputs = drawInputs(setting.weights.length, isHeadFrozen)
        const options = { ...setting, numTokens: 9 }
        const detached = { ...inputs, exits: inputs.exits.map((x) => x.clone()), head: inputs.head.clone() }
        const all = [...inputs.exits, ...(isHeadFrozen ? [] : [inputs.head])]
        const rebuild = (xs: tf.Tensor[]): ExitInputs => ({
          ...inputs,
          exits: xs.slice(0, inputs.exits.length) as tf.Tensor2D[],
          head: (xs[inputs.exits.length] ?? inputs.head) as tf.Tensor2D,
        })
        const fused = (...xs: tf.Tensor[]) => exitLoss(rebuild(xs), options)
        const textbook = (...xs: tf.Tensor[]) => textbookLoss(rebuild(xs), options, detached)
        assertNear(fused(...all), textbook(...all), 'values')
        const total =
          (f: typeof fused) =>
          (...xs: tf.Tensor[]) =>
            f(...xs)
              .slice([0], [1])
              .reshape([])
        const actual = tf.grads(total(fused))(all)
        const expected = tf.grads(total(textbook))(all)
        actual.forEach((gradient, i) => assertNear(gradient, expected[i], `gradient ${i}`))
      })
      assert.equal(tf.memory().numTensors, numTensors)
    })
  }

  it('its gradient is the slope of its value, at any weights, smoothing, temperature and head', () => {
    const number = (min: number, max: number) => fc.double({ min, max, noNaN: true })
    const setting = fc.record({
      weights: fc.array(number(0, 1), { minLength: 2, maxLength: 4 }),
      labelSmoothing: number(0, 0.5),
      weight: number(0.1, 2),
      temperature: fc.oneof(fc.constant(1), number(0.5, 4)),
      seed: fc.nat(1000),
    })
    fc.assert(
      fc.property(setting, ({ weights, labelSmoothing, weight, temperature, seed }) => {
        tf.tidy(() => {
          const inputs = drawInputs(weights.length)
          // The teacher is detached: only the lower exits are moved, all else stays.
          const distillation = { student: seed % (weights.length - 1), weight, temperature }
          const options = { weights, labelSmoothing, distillation, numTokens: 9 }
          const random = new Random(seed)
          const directions = inputs.exits.slice(0, -1).map((x) =>
            tf.tensor2d(
              Float32Array.from({ length: x.size }, () => random.normal()),
              x.shape,
            ),
          )
          const at = (t: number, move?: tf.Tensor[]) =>
            exitLoss(
              {
                ...inputs,
                exits: inputs.exits.map((x, i) => (move?.[i] ? tf.add(x, tf.mul(move[i], t)) : x)),
              },
              options,
            )
          // Steps of 1e-2: float32 sums of about 10 leave an error of 1e-4 in a slope.
          const step = 1e-2
          const [up, down] = [step, -step].map((t) => at(t, directions).dataSync()[0])
          const gradients = tf.grads((...xs: tf.Tensor[]) => {
            const exits = [...xs, inputs.exits.at(-1)!] as tf.Tensor2D[]
            return exitLoss({ ...inputs, exits }, options)
              .slice([0], [1])
              .reshape([])
          })(inputs.exits.slice(0, -1))
          const slope = gradients.reduce(
            (sum, gradient, i) => sum + tf.sum(tf.mul(gradient, directions[i])).dataSync()[0],
            0,
          )
          const measured = (up - down) / (2 * step)
          assert.ok(Math.abs(slope - measured) < 2e-3 * (1 + Math.abs(slope)), `${slope} against ${measured}`)
        })
      }),
      { numRuns: 40 },
    )
  })

  it('weights exits by layer index, equally, or as told', () => {
    const layers = { shallowLayers: 2, decoderLayers: 8 }
    const weights = (exits: readonly { weight: number }[]) => exits.map(({ weight }) => weight)
    assert.deepEqual(jointExits('layer-index', layers), [
      { layer: 2, weight: 0.2 },
      { layer: 8, weight: 0.8 },
    ])
    assert.deepEqual(weights(jointExits('equal', layers)), [0.5, 0.5])
    assert.deepEqual(weights(jointExits([3, 1], layers)), [3, 1])
    const four = { shallowLayers: 1, decoderLayers: 4 }
    assert.deepEqual(
      calmExits('layer-index', four).map(({ layer, weight }) => [layer, weight]),
      [
        [1, 0.1],
        [2, 0.2],
        [3, 0.3],
        [4, 0.4],
      ],
    )
    assert.deepEqual(weights(calmExits('equal', four)), [0.25, 0.25, 0.25, 0.25])
  })
})

describe('the states model and the LayersModel', () => {
  before(() => chooseBackend({ backend: 'wasm' }))

  const shapes: Record<string, Partial<ModelConfig>> = {
    'tied, scaled, relu': {},
    'untied, unscaled, gated': { tieEmbeddings: false, scaleLogits: false, feedForward: 'gated-gelu' },
  }
  for (const [name, changed] of Object.entries(shapes)) {
    it(`${name}: give the same logits and the same gradients`, () => {
      const config = parseModelConfig(
        {
          vocabSize: 23,
          dModel: 10,
          numHeads: 2,
          dKv: 4,
          dFf: 12,
          encoderLayers: 2,
          decoderLayers: 3,
          shallowLayers: 1,
          ...changed,
        },
        'test',
      )
      const model = buildModel(config, initialWeights(config, 3))
      const before = tf.memory().numTensors
      tf.tidy(() => {
        const batch: TokenBatch = {
          batchSize: 2,
          sourceLength: 3,
          targetLength: 4,
          sources: Int32Array.from([5, 9, 1, 7, 1, 0]),
          decoderInputs: Int32Array.from([0, 3, 4, 5, 0, 8, 0, 0]),
          labels: Int32Array.from([3, 4, 5, 1, 8, 1, -100, -100]),
          numTokens: 6,
          indices: Int32Array.from([0, 1]),
        }
        const objective = objectiveOf(trainingConfigSchema.parse({ labelSmoothing: 0.1 }), config)
        const throughStates = () =>
          batchLoss(model, batch, { objective, numTokens: 6 }).slice([0], [1]).reshape([]) as tf.Scalar
        const throughLogits = () => {
          const inputs = [
            tf.tensor2d(batch.sources, [2, 3], 'int32'),
            tf.tensor2d(batch.decoderInputs, [2, 4], 'int32'),
          ]
          const outputs = model.layersModel.apply(inputs, { training: false }) as tf.Tensor3D[]
          const valid = tf.cast(tf.greaterEqual(tf.tensor1d(batch.labels), 0), 'float32')
          const oneHot = tf.oneHot(
            tf.tensor1d(
              batch.labels.map((label) => Math.max(0, label)),
              'int32',
            ),
            config.vocabSize,
          )
          const losses = outputs.map((logits) => {
            const logP = tf.logSoftmax(tf.reshape(logits, [8, config.vocabSize]))
            const nll = tf.neg(tf.sum(tf.mul(logP, oneHot), 1))
            const uniform = tf.neg(tf.mean(logP, 1))
            return tf.div(tf.sum(tf.mul(tf.add(tf.mul(nll, 0.9), tf.mul(uniform, 0.1)), valid)), 6)
          })
          return tf.add(tf.mul(losses[0], 1 / 4), tf.mul(losses[1], 3 / 4)) as tf.Scalar
        }
        const variables = [...model.variables.values()]
        const a = tf.variableGrads(throughStates, variables)
        const b = tf.variableGrads(throughLogits, variables)
        assertNear(a.value, b.value, 'loss')
        for (const [weight, { name }] of model.variables) assertNear(a.grads[name], b.grads[name], weight)
      })
      assert.equal(tf.memory().numTensors, before)
      model.dispose()
      assert.equal(tf.memory().numTensors, before - model.variables.size)
    })
  }
})
