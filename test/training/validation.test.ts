// Teacher-forced validation against the LayersModel's own logits.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { parseModelConfig } from '../../src/config/index.js'
import { makeBatches, type EncodedExample } from '../../src/data/index.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { buildModel, initialWeights } from '../../src/model/index.js'
import { Random } from '../../src/random.js'
import { validateLosses } from '../../src/training/index.js'

describe('validation', () => {
  before(() => chooseBackend({ backend: 'wasm' }))

  it('losses and agreement are those of the logits over all valid tokens, however batched', async () => {
    const shape = {
      vocabSize: 13,
      dModel: 8,
      numHeads: 2,
      dKv: 4,
      dFf: 12,
      encoderLayers: 1,
      decoderLayers: 3,
    }
    const config = parseModelConfig({ ...shape, shallowLayers: 1 }, 'test')
    const model = buildModel(config, initialWeights(config, 5))
    const random = new Random(9)
    const ids = () =>
      Int32Array.from([...Array.from({ length: 1 + random.integer(6) }, () => 3 + random.integer(10)), 1])
    const examples: EncodedExample[] = Array.from({ length: 11 }, () => ({ source: ids(), target: ids() }))
    const expected = { shallow: 0, deep: 0, agree: 0, tokens: 0 }
    for (const { source, target } of examples) {
      const inputs = [source, Int32Array.from([0, ...target.slice(0, -1)])].map((row) =>
        tf.tensor2d([...row], [1, row.length], 'int32'),
      )
      const [shallow, deep] = (model.layersModel.predict(inputs) as tf.Tensor[]).map(
        (x) => tf.logSoftmax(x).arraySync() as number[][][],
      )
      target.forEach((label, t) => {
        const best = (row: number[]) => row.indexOf(Math.max(...row))
        expected.shallow -= shallow[0][t][label]
        expected.deep -= deep[0][t][label]
        expected.agree += best(shallow[0][t]) === best(deep[0][t]) ? 1 : 0
        expected.tokens++
      })
    }
    const numTensors = tf.memory().numTensors
    for (const batchSize of [1, 4, 11]) {
      const batches = makeBatches(examples, { batchSize, seed: 1, epoch: 0, padId: 0, decoderStartId: 0 })
      const losses = await validateLosses(model, batches)
      assert.ok(Math.abs(losses.shallowLoss - expected.shallow / expected.tokens) < 1e-4)
      assert.ok(Math.abs(losses.deepLoss - expected.deep / expected.tokens) < 1e-4)
      assert.equal(losses.agreement, expected.agree / expected.tokens)
    }
    assert.ok(expected.agree > 0 && expected.agree < expected.tokens, 'the case shows both')
    assert.equal(tf.memory().numTensors, numTensors)
  })
})
