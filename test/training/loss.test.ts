// The joint loss and its hand-written gradient against the textbook formulas under tfjs's own gradients.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { parseModelConfig, type ModelConfig } from '../../src/config/index.js'
import { IGNORED_LABEL, type TokenBatch } from '../../src/data/index.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { buildModel, initialWeights } from '../../src/model/index.js'
import { Random } from '../../src/random.js'
import { exitStates } from '../../src/training/gradients.js'
import { exitWeights, jointLoss, type ExitStates, type JointLossOptions } from '../../src/training/loss.js'

const TOLERANCE = 2e-5

function assertNear(actual: tf.Tensor, expected: tf.Tensor, what: string): void {
  assert.deepEqual(actual.shape, expected.shape, what)
  const scale = Math.max(1e-3, tf.max(tf.abs(expected)).dataSync()[0])
  const worst = tf.max(tf.abs(tf.sub(actual, expected))).dataSync()[0]
  assert.ok(worst <= TOLERANCE * scale, `${what}: off by ${worst} on a scale of ${scale}`)
}

/** The formulas of DESIGN section 3, term by term, with one-hot labels and log-softmax. */
function textbookLoss({ shallow, deep, head, labels }: ExitStates, options: JointLossOptions): tf.Tensor1D {
  const vocabSize = head.shape[0]
  const e = options.labelSmoothing
  const logits = (h: tf.Tensor2D, table: tf.Tensor2D) => tf.matMul(h, tf.transpose(table))
  const valid = tf.cast(tf.notEqual(labels, IGNORED_LABEL), 'float32')
  const oneHot = tf.oneHot(tf.maximum(labels, tf.scalar(0, 'int32')).toInt() as tf.Tensor1D, vocabSize)
  const meanOver = (perToken: tf.Tensor) => tf.div(tf.sum(tf.mul(perToken, valid)), options.numTokens)
  const crossEntropy = (h: tf.Tensor2D) => {
    const logP = tf.logSoftmax(logits(h, head))
    const nll = tf.neg(tf.sum(tf.mul(logP, oneHot), 1))
    return meanOver(tf.add(tf.mul(nll, 1 - e), tf.mul(tf.neg(tf.sum(logP, 1)), e / vocabSize)))
  }
  const teacher = tf.logSoftmax(logits(detached.deep, detached.head))
  const divergence = meanOver(
    tf.sum(tf.mul(tf.exp(teacher), tf.sub(teacher, tf.logSoftmax(logits(shallow, head)))), 1),
  )
  const [a, b] = [crossEntropy(shallow), crossEntropy(deep)]
  const total = tf.addN([
    tf.mul(a, options.shallowWeight),
    tf.mul(b, options.deepWeight),
    tf.mul(divergence, options.distillationWeight),
  ])
  return tf.stack([total, a, b, divergence]) as tf.Tensor1D
}

/** The teacher's inputs, outside of any gradient. */
let detached: { deep: tf.Tensor2D; head: tf.Tensor2D }

describe('joint loss', () => {
  before(() => chooseBackend({ backend: 'wasm' }))

  const settings: [string, Partial<JointLossOptions>][] = [
    ['plain', {}],
    ['smoothed', { labelSmoothing: 0.1 }],
    ['distilled', { distillationWeight: 0.7 }],
    [
      'smoothed and distilled, unequal weights',
      { labelSmoothing: 0.2, distillationWeight: 1.3, shallowWeight: 0.2 },
    ],
  ]
  for (const [name, changed] of settings) {
    it(`${name}: value and gradients are the textbook formula's`, () => {
      tf.tidy(() => {
        const [N, D, V] = [11, 6, 17]
        const draw = (shape: [number, number], seed: number) =>
          tf
            .tensor2d(
              Float32Array.from({ length: shape[0] * shape[1] }, () => random.normal()),
              shape,
            )
            .mul(seed)
        const random = new Random(7)
        const shallow = draw([N, D], 1) as tf.Tensor2D
        const deep = draw([N, D], 1.5) as tf.Tensor2D
        const head = draw([V, D], 0.8) as tf.Tensor2D
        // Ignored rows, a repeated label (its gradients add up), the first and the last id.
        const labels = tf.tensor1d([0, 16, 3, 3, -100, 5, 3, -100, 9, 12, 1], 'int32')
        const options: JointLossOptions = {
          shallowWeight: 0.4,
          deepWeight: 0.6,
          distillationWeight: 0,
          labelSmoothing: 0,
          numTokens: 9,
          ...changed,
        }
        detached = { deep: deep.clone(), head: head.clone() }
        const states = (s: tf.Tensor, d: tf.Tensor, h: tf.Tensor) => ({
          shallow: s as tf.Tensor2D,
          deep: d as tf.Tensor2D,
          head: h as tf.Tensor2D,
          labels,
        })
        const fused = (s: tf.Tensor, d: tf.Tensor, h: tf.Tensor) => jointLoss(states(s, d, h), options)
        const textbook = (s: tf.Tensor, d: tf.Tensor, h: tf.Tensor) => textbookLoss(states(s, d, h), options)
        assertNear(fused(shallow, deep, head).slice(0, 1), textbook(shallow, deep, head).slice(0, 1), 'total')
        const total = (f: typeof fused) => (s: tf.Tensor, d: tf.Tensor, h: tf.Tensor) =>
          f(s, d, h).slice([0], [1]).reshape([])
        const actual = tf.grads(total(fused))([shallow, deep, head])
        const expected = tf.grads(total(textbook))([shallow, deep, head])
        actual.forEach((gradient, i) => assertNear(gradient, expected[i], ['shallow', 'deep', 'head'][i]))
        const parts = (x: tf.Tensor1D) => x.slice(1, options.distillationWeight > 0 ? 3 : 2)
        assertNear(parts(fused(shallow, deep, head)), parts(textbook(shallow, deep, head)), 'parts')
      })
    })
  }

  it('weights exits by layer index, equally, or as told', () => {
    const layers = { shallowLayers: 2, decoderLayers: 8 }
    assert.deepEqual(exitWeights('layer-index', layers), { shallowWeight: 0.2, deepWeight: 0.8 })
    assert.deepEqual(exitWeights('equal', layers), { shallowWeight: 0.5, deepWeight: 0.5 })
    assert.deepEqual(exitWeights([3, 1], layers), { shallowWeight: 3, deepWeight: 1 })
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
        const options: JointLossOptions = {
          ...exitWeights('layer-index', config),
          distillationWeight: 0,
          labelSmoothing: 0.1,
          numTokens: 6,
        }
        const throughStates = () =>
          jointLoss(exitStates(model, batch), options).slice([0], [1]).reshape([]) as tf.Scalar
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
          return tf.add(
            tf.mul(losses[0], options.shallowWeight),
            tf.mul(losses[1], options.deepWeight),
          ) as tf.Scalar
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
