// The confidence head: what it says, that it learns from the model without touching it, and that a checkpoint keeps it.
// Loss and gradient against PyTorch: objectives.test.ts.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import fc from 'fast-check'
import { fromCheckpointFiles, readSafetensors, toCheckpointFiles } from '../../src/checkpoint/index.js'
import { fillBatch } from '../../src/data/index.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { agreementProbability, buildModel, initialWeights, rmsNorm } from '../../src/model/index.js'
import { Random } from '../../src/random.js'
import { confidenceLoss, exitsAgree, validateLosses } from '../../src/training/index.js'
import { copyExamples, tinyConfig, tinyModel, tinyTraining, watch, weightBits } from './tinyRun.js'

const draw = (random: Random, shape: number[]) =>
  tf.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal()),
    shape,
  )

describe('the confidence head', () => {
  before(() => chooseBackend({ backend: 'wasm' }))

  it('its gradient is the slope of its loss; ignored rows count for nothing', () => {
    fc.assert(
      fc.property(fc.nat(1000), (seed) => {
        tf.tidy(() => {
          const random = new Random(seed)
          const [N, D, V] = [9, 5, 4]
          const inputs = {
            shallow: draw(random, [N, D]) as tf.Tensor2D,
            deep: draw(random, [N, D]) as tf.Tensor2D,
            head: draw(random, [V, D]) as tf.Tensor2D,
            labels: tf.tensor1d([1, 2, -100, 3, 0, 1, -100, 2, 3], 'int32'),
          }
          const start = [draw(random, [D, 2]), draw(random, [2])]
          const directions = [draw(random, [D, 2]), draw(random, [2])]
          const value = ([weight, bias]: readonly tf.Tensor[]) =>
            confidenceLoss(inputs, { weight: weight as tf.Tensor2D, bias: bias as tf.Tensor1D }, 7)
          const at = (t: number) =>
            value(start.map((x, i) => tf.add(x, tf.mul(directions[i], t)))).dataSync()[0]
          const gradients = tf.grads((...xs: tf.Tensor[]) => tf.mul(value(xs), 3))(start)
          const slope = gradients.reduce(
            (sum, gradient, i) => sum + tf.sum(tf.mul(gradient, directions[i])).dataSync()[0],
            0,
          )
          const measured = (3 * (at(1e-2) - at(-1e-2))) / 2e-2
          assert.ok(Math.abs(slope - measured) < 2e-3 * (1 + Math.abs(slope)), `${slope} against ${measured}`)

          const other = tf.add(inputs.shallow, tf.mul(tf.expandDims(tf.equal(inputs.labels, -100), 1), 5))
          const moved = confidenceLoss(
            { ...inputs, shallow: other as tf.Tensor2D },
            { weight: start[0] as tf.Tensor2D, bias: start[1] as tf.Tensor1D },
            7,
          )
          assert.equal(moved.dataSync()[0], at(0))
        })
      }),
      { numRuns: 30 },
    )
  })

  it('leaves the gradients of the model to the bit as they are without it', async () => {
    const config = tinyTraining({ steps: 3, maxGradientNorm: 0 })
    const train = async (confidenceHead: boolean) => {
      const model = tinyModel({ confidenceHead })
      const { steps } = await watch({ model, examples: copyExamples(12), config })
      const bits = await weightBits(model)
      model.dispose()
      return { steps, bits }
    }
    const [plain, headed] = [await train(false), await train(true)]
    const { ['confidenceHead.weight']: weight, ['confidenceHead.bias']: bias, ...shared } = headed.bits
    assert.deepEqual(shared, plain.bits)
    assert.ok([weight, bias].every((bits) => bits.some((x) => x !== 0)))
    for (const [i, step] of headed.steps.entries()) {
      const { loss, confidenceLoss: own, deepLoss } = step
      assert.ok(own > 0 && Math.abs(loss - own - plain.steps[i].loss) < 1e-6)
      assert.equal(deepLoss, plain.steps[i].deepLoss)
      assert.equal(plain.steps[i].confidenceLoss, 0)
    }
  })

  it('answers a probability of agreement, and validation measures it by the exits of the LayersModel', async () => {
    const config = tinyConfig({ confidenceHead: true, decoderLayers: 2, vocabSize: 6 })
    const random = new Random(4)
    const weights = initialWeights(config, 2)
    for (const name of ['confidenceHead.weight', 'confidenceHead.bias']) {
      const { shape, data } = weights.get(name)!
      assert.ok(
        data.every((x) => x === 0),
        'it starts undecided',
      )
      weights.set(name, { shape, data: data.map(() => random.normal()) })
    }
    const model = buildModel(config, weights)
    const examples = copyExamples(8).map(({ source }) => {
      const ids = source.map((id) => id % 6)
      return { source: ids, target: ids }
    })
    const batch = fillBatch(examples, Int32Array.from(examples.keys()), { padId: 0, decoderStartId: 0 })
    const { numTensors } = tf.memory()
    const { confidenceLoss: found, agreement } = await validateLosses(model, [batch])
    assert.equal(tf.memory().numTensors, numTensors)
    tf.tidy(() => {
      const { batchSize: B, sourceLength: M, targetLength: T } = batch
      const inputs = [
        tf.tensor2d(batch.sources, [B, M], 'int32'),
        tf.tensor2d(batch.decoderInputs, [B, T], 'int32'),
      ]
      const [shallow, deep] = (model.layersModel.predict(inputs) as tf.Tensor[]).map((logits) =>
        tf.argMax(logits, 2).dataSync(),
      )
      const states = (model.statesModel.predict(inputs) as tf.Tensor[])[config.shallowLayers]
      const norm = model.variables.get('decoder.finalNorm') as tf.Tensor as tf.Tensor1D
      const normed = rmsNorm(tf.reshape(states, [B * T, config.dModel]), norm, config.layerNormEpsilon)
      const head = {
        weight: model.variables.get('confidenceHead.weight') as tf.Tensor as tf.Tensor2D,
        bias: model.variables.get('confidenceHead.bias') as tf.Tensor as tf.Tensor1D,
      }
      const probabilities = agreementProbability(normed, head).dataSync()
      assert.equal(probabilities.length, B * T)
      let [loss, agreeing] = [0, 0]
      batch.labels.forEach((label, n) => {
        if (label === -100) return
        const agrees = shallow[n] === deep[n]
        agreeing += agrees ? 1 : 0
        loss -= Math.log(agrees ? probabilities[n] : 1 - probabilities[n])
      })
      assert.ok(agreeing > 0 && agreeing < batch.numTokens, 'the case shows both')
      assert.ok(Math.abs(found! - loss / batch.numTokens) < 1e-5)
      assert.equal(agreement, Math.fround(agreeing) / batch.numTokens)
    })
    model.dispose()
  })

  it('agreement is that of arg-maxima, the lowest id on ties', () => {
    tf.tidy(() => {
      const shallow = tf.tensor2d([1, 0, 1, 1, 0, 1], [3, 2])
      const deep = tf.tensor2d([2, 1, 0, 1, 1, 1], [3, 2])
      const head = tf.tensor2d([1, 0, 0, 1], [2, 2])
      assert.deepEqual([...exitsAgree({ shallow, deep, head }).dataSync()], [1, 0, 0])
    })
  })

  it('a checkpoint keeps it under its own names, and config.json says that it is there', () => {
    const config = tinyConfig({ confidenceHead: true })
    const weights = initialWeights(config, 1)
    const random = new Random(1)
    for (const name of ['confidenceHead.weight', 'confidenceHead.bias']) {
      const { shape, data } = weights.get(name)!
      weights.set(name, { shape, data: data.map(() => random.normal()) })
    }
    const files = new Map(
      [...toCheckpointFiles({ config, weights })].map(([name, content]) => [name, Buffer.from(content)]),
    )
    assert.equal(JSON.parse(files.get('config.json')!.toString()).shallow_confidence_head, true)
    const { tensors } = readSafetensors(files.get('model.safetensors')!, 'model')
    assert.deepEqual(tensors.get('shallow_confidence_head.weight')!.shape, [2, config.dModel])
    assert.deepEqual(tensors.get('shallow_confidence_head.bias')!.shape, [2])
    const read = fromCheckpointFiles(files, 'folder')
    assert.deepEqual(read.config, config)
    assert.deepEqual(read.weights.get('confidenceHead.weight'), weights.get('confidenceHead.weight'))
    const plain = toCheckpointFiles({ config: tinyConfig(), weights: initialWeights(tinyConfig(), 1) })
    assert.ok(!String(plain.get('config.json')).includes('confidence'))
  })
})
