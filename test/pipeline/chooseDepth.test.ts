// The automatic choice of the shallow depth: on a scripted engine by hand, and on a model against the layers model that
// training uses.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { fillBatch } from '../../src/data/index.js'
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { buildModel } from '../../src/model/index.js'
import { chooseDepth, measureSegmentCosts, observeExits } from '../../src/pipeline/index.js'
import { validateLosses } from '../../src/training/index.js'
import { readParityBatches, readParityModel } from '../golden/parity.js'
import { LayeredEngine } from './layeredEngine.js'

const SCRIPTS = [
  [1, 1, 3, 1, 2, 1],
  [2, 1, 1, 4],
]
const sources = SCRIPTS.map((_, i) => [i, 1])
const setUp = () => {
  const engine = new LayeredEngine(SCRIPTS)
  return { engine, sources, confidence: 'top2-gap', maxNewTokens: 20, now: () => engine.clockMs } as const
}

describe('observing exits', () => {
  it('compares every exit with the last one along the own output, by layer', async () => {
    const { engine, ...options } = setUp()
    const exits = await observeExits({ engine, ...options })
    assert.deepEqual(
      exits.map(({ agree }) => [...agree]),
      [1, 2, 3].map((layer) => SCRIPTS.flat().map((from) => (layer >= from ? 1 : 0))),
    )
    const gap = (isRight: boolean) => (isRight ? 0.9 - 0.1 : 0.3 - 0.1)
    assert.deepEqual(
      [...exits[1].confidences],
      SCRIPTS.flat().map((from) => gap(2 >= from)),
    )
    assert.equal(engine.numOpen, 0)
    // Fully decoded and forced along it, the start token first.
    assert.deepEqual(engine.inputs[1], [0, 10, 11, 12, 13, 14])
  })

  it('is forced along targets where they are given, and decodes nothing', async () => {
    const { engine, ...options } = setUp()
    await observeExits({
      engine,
      ...options,
      targets: [
        [50, 51, 1],
        [60, 1],
      ],
    })
    assert.deepEqual(engine.inputs, [
      [0, 50, 51],
      [0, 60],
    ])
  })

  it('frees everything and gives the reason when it is aborted', async () => {
    const { engine, ...options } = setUp()
    const controller = new AbortController()
    const reason = new Error('enough')
    const onExample = () => controller.abort(reason)
    await assert.rejects(observeExits({ engine, ...options, onExample, signal: controller.signal }), reason)
    assert.equal(engine.numOpen, 0)
  })
})

describe('measuring segments', () => {
  it('finds what each depth’s passes cost, by the number of positions', async () => {
    const { engine, confidence, now } = setUp()
    const { costs, fullMs } = await measureSegmentCosts({
      engine,
      source: sources[0],
      contextLength: 5,
      confidence,
      now,
    })
    assert.equal(fullMs, 4 + 2)
    assert.deepEqual(
      costs,
      [1, 2, 3].map((layer) => ({
        shallowMs: layer + 2,
        deep: [1, 2, 4, 8].map((positions) => ({
          positions,
          ms: (4 - layer) * (1 + (positions - 1) / 4) + 2,
        })),
      })),
    )
    assert.equal(engine.numOpen, 0)
    for (const inputs of engine.inputs) assert.equal(inputs.length, 5)
  })
})

describe('chooseDepth', () => {
  it('chooses by what was measured, and says what it rests on', async () => {
    const { engine, ...options } = setUp()
    const choice = await chooseDepth({ engine, ...options, minEvidence: 1, minAgreement: 1 })
    assert.deepEqual([choice.tokens, choice.sequences, choice.fullMs], [10, 2, 6])
    assert.deepEqual(
      choice.rows.map(({ layer, agreement, exitShare }) => [layer, agreement, exitShare]),
      [
        [1, 0.6, 0.6],
        [2, 0.8, 0.8],
        [3, 0.9, 0.9],
      ],
    )
    const speedups = choice.rows.map(({ speedup }) => speedup)
    assert.equal(choice.shallowLayers, 1 + speedups.indexOf(Math.max(...speedups)))
  })

  it('refuses no sources, in a code of its own, and bad options', async () => {
    const { engine, ...options } = setUp()
    await assert.rejects(chooseDepth({ engine, ...options, sources: [] }), { code: 'evaluation.no-sources' })
    await assert.rejects(chooseDepth({ engine, ...options, minAgreement: 2 }), {
      code: 'config.invalid-value',
    })
  })

  describe('on a model', () => {
    before(async () => {
      await tf.setBackend('cpu')
    })

    it('finds, along references, the agreement that the layers model of that depth has', async () => {
      const [batch] = readParityBatches('free-v11')
      const withoutPadding = (row: readonly number[], mask: readonly number[]) =>
        row.filter((_, i) => mask[i] === 1)
      const encoded = batch.input_ids.map((row, i) => ({
        source: Int32Array.from(withoutPadding(row, batch.attention_mask[i])),
        target: Int32Array.from(batch.labels[i].filter((label) => label >= 0)),
      }))
      const { config, weights } = readParityModel('free-v11')
      const engine = createTfjsEngine({ config, weights })
      const numBefore = tf.memory().numTensors
      const exits = await observeExits({
        engine,
        sources: encoded.map(({ source }) => source),
        targets: encoded.map(({ target }) => target),
        confidence: 'top2-gap',
        maxNewTokens: 8,
      })
      assert.equal(tf.memory().numTensors, numBefore)
      engine.dispose()
      const ids = { padId: config.padId, decoderStartId: config.decoderStartId }
      const tokens = fillBatch(encoded, Int32Array.from(encoded.keys()), ids)
      for (const [i, { agree }] of exits.entries()) {
        const model = buildModel({ ...config, shallowLayers: i + 1 }, weights)
        const { agreement } = await validateLosses(model, [tokens])
        model.dispose()
        const share = agree.reduce((sum, agrees) => sum + agrees, 0) / agree.length
        assert.ok(Math.abs(share - agreement) < 1e-6, `layer ${i + 1}: ${share} and ${agreement}`)
      }
      assert.equal(exits.length, config.decoderLayers - 1)
    })
  })
})
