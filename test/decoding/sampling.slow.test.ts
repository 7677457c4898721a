// The distribution of outputs that lossless draws with the tfjs engine: that of full.
import assert from 'node:assert/strict'
import { lossless, sample } from '../../src/decoding/index.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { deviationOf, drawMany, exactProbabilities, tinyConfig, tinyWeights } from './drawnSequences.js'
import { useNative } from './useNative.js'

const warping = { temperature: 1.5, topK: 6, topP: 0.95 }

function checkDistribution(): void {
  it('lossless draws as full does', async () => {
    const engine = createTfjsEngine({ config: tinyConfig, weights: tinyWeights })
    try {
      const selection = sample({ ...warping, seed: 12 })
      const drawn = await drawMany(engine, 2_000, { policy: lossless(0), selection })
      const deviation = deviationOf(drawn, exactProbabilities(warping, 2))
      assert.ok(deviation < 4, `deviation ${deviation}`)
    } finally {
      engine.dispose()
    }
  }).timeout(300_000)
}

describe('on wasm', () => {
  before(() => chooseBackend({ backend: 'wasm' }))
  checkDistribution()
})

describe('on the native backend', () => {
  before(useNative)
  checkDistribution()
})
