// Where the model drops while training: T5's places, each once, and nowhere in evaluation. (gradients.test.ts holds the
// values: with equal masks, losses and gradients are those of the reference in train mode.)
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { parseModelConfig, type ModelConfig } from '../../src/config/index.js'
import type { TokenBatch } from '../../src/data/index.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { buildModel, initialWeights, type Dropout, type ShallowDeepModel } from '../../src/model/index.js'
import { decoderStates } from '../../src/training/index.js'

const [B, M, T] = [2, 3, 4]
const batch: TokenBatch = {
  batchSize: B,
  sourceLength: M,
  targetLength: T,
  sources: Int32Array.from([5, 9, 1, 7, 1, 0]),
  decoderInputs: Int32Array.from([0, 3, 4, 5, 0, 8, 0, 0]),
  labels: Int32Array.from([3, 4, 5, 1, 8, 1, -100, -100]),
  numTokens: 6,
  indices: Int32Array.from([0, 1]),
}

/** All sizes differ, so that a shape tells the place. */
function configOf(changed: Partial<ModelConfig>): ModelConfig {
  const shape = { vocabSize: 23, dModel: 10, numHeads: 5, dKv: 6, dFf: 17 }
  return parseModelConfig(
    { ...shape, encoderLayers: 2, decoderLayers: 3, shallowLayers: 1, ...changed },
    'test',
  )
}

/** The states that both heads read. */
function exitStates(model: ShallowDeepModel, dropout?: Dropout): tf.Tensor2D[] {
  const { exit } = decoderStates(model, batch, dropout && { dropout })
  return [exit(model.config.shallowLayers), exit(model.config.decoderLayers)]
}

/** How often each shape is dropped. */
function countDrops(model: ShallowDeepModel): Record<string, number> {
  const counts: Record<string, number> = {}
  const dropout: Dropout = (x) => {
    const shape = x.shape.join('x')
    counts[shape] = (counts[shape] ?? 0) + 1
    return x
  }
  tf.tidy(() => exitStates(model, dropout))
  return counts
}

describe('places of dropout', () => {
  before(() => chooseBackend({ backend: 'wasm' }))

  for (const [name, changed] of Object.entries({
    'v1.0': {},
    'v1.1': { feedForward: 'gated-gelu', tieEmbeddings: false, scaleLogits: false },
    'five decoder layers': { encoderLayers: 1, decoderLayers: 5, shallowLayers: 4 },
  } satisfies Record<string, Partial<ModelConfig>>)) {
    it(`${name}: embeddings, attention weights, sub-layer outputs, inside feed-forwards, final norms`, () => {
      const config = configOf(changed)
      const model = buildModel(config, initialWeights(config, 1))
      const { encoderLayers: E, decoderLayers: L } = config
      assert.deepEqual(countDrops(model), {
        // embedding, outputs of self-attention and feed-forward, final norm
        [`${B * M}x10`]: 1 + 2 * E + 1,
        // embedding, outputs of self-attention, cross-attention and feed-forward, the final norm of both exits
        [`${B * T}x10`]: 1 + 3 * L + 2,
        // attention weights [B, H, queries, memory]
        [`${B}x5x${M}x${M}`]: E,
        [`${B}x5x${T}x${T}`]: L,
        [`${B}x5x${T}x${M}`]: L,
        // between the feed-forward's two products
        [`${B * M}x17`]: E,
        [`${B * T}x17`]: L,
      })
      model.dispose()
    })
  }

  it('attention weights are dropped after their softmax: what is dropped is a distribution', () => {
    const config = configOf({})
    const model = buildModel(config, initialWeights(config, 1))
    tf.tidy(() =>
      exitStates(model, (x) => {
        if (x.rank !== 4) return x
        const sums = tf.sum(x, 3).dataSync()
        for (const sum of sums) assert.ok(Math.abs(sum - 1) < 1e-5)
        assert.ok(tf.min(x).dataSync()[0] >= 0)
        return x
      }),
    )
    model.dispose()
  })

  it('training without dropout is evaluation to the bit, and evaluation is repeatable', () => {
    const config = configOf({})
    const model = buildModel(config, initialWeights(config, 2))
    const run = (dropout?: Dropout) =>
      tf.tidy(() => exitStates(model, dropout).map((state) => state.dataSync()))
    const evaluated = run()
    assert.deepEqual(run(), evaluated)
    assert.deepEqual(
      run((x) => x),
      evaluated,
    )
    assert.notDeepEqual(
      run((x) => tf.mul(x, 1.1) as typeof x),
      evaluated,
    )
    model.dispose()
  })

  it('the LayersModel itself, put in training mode, drops at its own rate', () => {
    const config = configOf({ dropout: 0.5 })
    const model = buildModel(config, initialWeights(config, 2))
    tf.tidy(() => {
      const inputs = [
        tf.tensor2d(batch.sources, [B, M], 'int32'),
        tf.tensor2d(batch.decoderInputs, [B, T], 'int32'),
      ]
      const run = (training: boolean) =>
        (model.layersModel.apply(inputs, { training }) as tf.Tensor[])[1].dataSync()
      assert.deepEqual(run(false), run(false))
      assert.notDeepEqual(run(true), run(true))
      assert.notDeepEqual(run(true), run(false))
    })
    model.dispose()
  })
})
