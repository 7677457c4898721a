// Layer dropout: its rates, what it depends on, and that the layer that is left out is left out of both exits.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { decoderStates, layerDropoutRates, skippedLayers } from '../../src/training/index.js'
import { fillBatch } from '../../src/data/index.js'
import { copyExamples, tinyModel, tinyTraining, watch, weightBits } from './tinyRun.js'

const options = { layerDropout: 0.2, layerDropoutGrowth: 'uniform' } as const
const setting = { decoderLayers: 6, seed: 3 }

describe('layer dropout', () => {
  before(() => chooseBackend({ backend: 'wasm' }))

  it('rates are even, or rise from none at the first layer to the whole at the last', () => {
    const rates = (layerDropoutGrowth: 'uniform' | 'linear' | 'exponential') =>
      layerDropoutRates({ layerDropout: 0.2, layerDropoutGrowth }, 5).map((rate) => Number(rate.toFixed(6)))
    assert.deepEqual(rates('uniform'), [0.2, 0.2, 0.2, 0.2, 0.2])
    assert.deepEqual(rates('linear'), [0, 0.05, 0.1, 0.15, 0.2])
    // 0.2 * (2^(l/4) - 1)
    assert.deepEqual(rates('exponential'), [0, 0.037841, 0.082843, 0.136359, 0.2])
  })

  it('each layer is left out at its rate, apart from the others, and depends on seed and step alone', () => {
    const steps = 4000
    const drawn = Array.from({ length: steps }, (_, step) => skippedLayers(options, { ...setting, step }))
    const again = skippedLayers(options, { ...setting, step: 77 })
    assert.deepEqual(again, drawn[77])
    const share = (isIn: (layers: ReadonlySet<number>) => boolean) => drawn.filter(isIn).length / steps
    for (let layer = 1; layer <= 6; layer++) {
      // Five standard errors.
      assert.ok(Math.abs(share((layers) => layers.has(layer)) - 0.2) < 5 * Math.sqrt(0.16 / steps))
    }
    assert.ok(
      Math.abs(share((layers) => layers.has(2) && layers.has(5)) - 0.04) < 5 * Math.sqrt(0.04 / steps),
    )
    const other = Array.from({ length: 50 }, (_, step) =>
      skippedLayers(options, { ...setting, seed: 4, step }),
    )
    assert.notDeepEqual(other, drawn.slice(0, 50))
    assert.deepEqual(skippedLayers({ ...options, layerDropout: 0 }, { ...setting, step: 1 }), new Set())
  })

  it('a layer that is left out hands its input on, to both exits, and only while training', () => {
    const model = tinyModel({ decoderLayers: 4, shallowLayers: 2 })
    const [padId, decoderStartId] = [0, 0]
    const batch = fillBatch(copyExamples(4), Int32Array.of(0, 1, 2, 3), { padId, decoderStartId })
    const { numTensors } = tf.memory()
    tf.tidy(() => {
      const states = (skipped?: number[]) => {
        const found = decoderStates(
          model,
          batch,
          skipped && { skippedLayers: new Set(skipped), dropout: (x) => x },
        )
        return [1, 2, 3, 4].map((layer) => [...found.normed(layer).dataSync()])
      }
      // With a dropout, be it one that drops nothing, layers are computed by other kernels than without.
      const distance = (a: readonly number[], b: readonly number[]) =>
        Math.max(...a.map((x, i) => Math.abs(x - b[i])))
      const whole = states()
      for (const [i, layer] of states([]).entries()) assert.ok(distance(layer, whole[i]) < 1e-5)
      const skipped = states([2])
      assert.deepEqual(skipped[1], skipped[0])
      assert.ok(distance(skipped[0], whole[0]) < 1e-5)
      assert.ok(distance(skipped[3], whole[3]) > 0.01)
      const both = states([2, 4])
      assert.deepEqual(both[3], both[2])
    })
    assert.equal(tf.memory().numTensors, numTensors)
    model.dispose()
  })

  it('a training leaves layers out, is repeatable, and leaves nothing behind', async () => {
    const train = async (layerDropout: number) => {
      const model = tinyModel({ dropout: 0 })
      const config = tinyTraining({ layerDropout, layerDropoutGrowth: 'linear', steps: 8 })
      const { numTensors } = tf.memory()
      const { steps } = await watch({ model, examples: copyExamples(12), config })
      assert.equal(tf.memory().numTensors, numTensors)
      const weights = await weightBits(model)
      model.dispose()
      return { steps, weights }
    }
    const dropped = await train(0.5)
    assert.deepEqual(await train(0.5), dropped)
    const whole = await train(0)
    const same = dropped.steps.filter(({ deepLoss }, i) => deepLoss === whole.steps[i].deepLoss)
    assert.ok(same.length < 8)
    assert.notDeepEqual(dropped.weights, whole.weights)
  })
})
