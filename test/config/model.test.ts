// The mapping of a model's shape to config.json and back.
import assert from 'node:assert/strict'
import { fromHuggingFace, parseModelConfig, toHuggingFace } from '../../src/config/index.js'

const shape = { vocabSize: 11, dModel: 4, numHeads: 3, dKv: 2, dFf: 5, encoderLayers: 1, decoderLayers: 3 }

describe("a model's shape in config.json", () => {
  it('is read back as it was written, with and without what is our own', () => {
    for (const changed of [{}, { confidenceHead: true, dropout: 0, feedForward: 'gated-gelu' }]) {
      const config = parseModelConfig({ ...shape, shallowLayers: 2, ...changed }, 'test')
      assert.deepEqual(fromHuggingFace(toHuggingFace(config), 'config.json', { hasHead: false }), config)
    }
  })

  it('leaves out the initializer_factor: transformers takes only a float there, and JSON.stringify writes 1', () => {
    const config = parseModelConfig({ ...shape, shallowLayers: 2 }, 'test')
    assert.ok(!('initializer_factor' in toHuggingFace(config)))
  })
})
