// The profit rule of a checkpoint: what is measured, under which key it is kept, and what the rule is told.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { calibrate, createCalibrator } from '../../src/calibration/index.js'
import { parseModelConfig } from '../../src/config/index.js'
import { free, lossless, rollback, sample, type Policy } from '../../src/decoding/index.js'
import { openProfitRule, type ProfitOptions } from '../../src/pipeline/profit.node.js'
import { DECODER_LAYERS, ScriptedEngine, SHALLOW_LAYERS } from '../evaluation/scriptedEngine.js'
import { sampleCosts } from './sampleCosts.js'

/** Sources begin with their end of sequence, token 1: the script that is played is the second. */
const SCRIPTS = [[], Array.from({ length: 99 }, () => ({ shallow: 9, deep: 9, confidence: 0.9 }))]
const shape = { vocabSize: 100, dModel: 8, numHeads: 2, dKv: 4, dFf: 16, encoderLayers: 1 }
const config = parseModelConfig(
  { ...shape, decoderLayers: DECODER_LAYERS, shallowLayers: SHALLOW_LAYERS },
  'config',
)

describe('the profit rule of a checkpoint', () => {
  let cacheFolder = ''
  beforeEach(() => {
    cacheFolder = mkdtempSync(join(tmpdir(), 'shallowdeep-profit-'))
  })
  afterEach(() => rmSync(cacheFolder, { recursive: true, force: true }))

  async function open(more: Partial<ProfitOptions> = {}) {
    const engine = new ScriptedEngine(
      SCRIPTS,
      (layers, positions, numAsked) => layers * (1 + (positions - 1) / 8) + 2 * numAsked,
    )
    let numMeasured = 0
    const rule = await openProfitRule({
      checkpoint: { engine, config },
      policy: free(0.5),
      confidence: 'top2-gap',
      cacheFolder,
      now: () => engine.clockMs,
      onMeasure: () => numMeasured++,
      onWarning: (text) => assert.fail(text),
      ...more,
    })
    return { rule, numMeasured }
  }
  const kept = () =>
    readdirSync(join(cacheFolder, 'costs')).map((name) =>
      JSON.parse(readFileSync(join(cacheFolder, 'costs', name), 'utf8')),
    )

  it('measures the depth of the model’s own exit, once', async () => {
    assert.equal((await open()).numMeasured, 1)
    assert.equal((await open()).numMeasured, 0)
    const [{ key, costs }] = kept()
    assert.deepEqual(costs, {
      shallowMs: 2 + 2,
      deep: [1, 2, 4, 8].map((positions) => ({ positions, ms: 6 * (1 + (positions - 1) / 8) + 2 })),
      fullMs: 8 + 2,
    })
    assert.deepEqual([key.engine, key.shallowLayers, key.decoderLayers], ['scripted', 2, 8])
  })

  it('counts the last exit at the newest position of a flush, or at all where it verifies or gives evidence', async () => {
    const flushOfEight = async (more: Partial<ProfitOptions>) => {
      await open(more)
      const [{ costs }] = kept()
      rmSync(join(cacheFolder, 'costs'), { recursive: true })
      return costs.deep[3].ms
    }
    const layers = 6 * (1 + 7 / 8)
    assert.equal(await flushOfEight({}), layers + 2)
    for (const more of [{ policy: rollback(0.5) }, { evidence: true }, { flushAtEnd: true }]) {
      assert.equal(await flushOfEight(more), layers + 8 * 2)
    }
  })

  it('takes confidences for exact where a calibrator learns from every sequence', async () => {
    const adaptive = (): Policy => free(createCalibrator('beta-mixture'))
    const isExact = async (more: Partial<ProfitOptions>) => {
      await open(more)
      const [{ key }] = kept()
      rmSync(join(cacheFolder, 'costs'), { recursive: true })
      return key.exactConfidence as boolean
    }
    assert.equal(await isExact({ policy: adaptive() }), false)
    assert.equal(await isExact({ policy: adaptive(), evidence: true }), false)
    assert.equal(await isExact({ policy: adaptive(), flushAtEnd: true }), true)
    assert.equal(await isExact({ policy: lossless(createCalibrator('beta-mixture')) }), true)
    assert.equal(await isExact({ policy: lossless(0.5) }), false)
  })

  it('measures anew for whatever makes passes cost something else', async () => {
    await open()
    const changes: Partial<ProfitOptions>[] = [
      { policy: rollback(0.5) },
      { selection: sample() },
      { confidence: 'entropy' },
      { batchSize: 3 },
      { keepFloat: ['head'] },
      { exactConfidence: true },
      { evidence: true },
    ]
    for (const change of changes) assert.equal((await open(change)).numMeasured, 1, JSON.stringify(change))
    for (const change of changes) assert.equal((await open(change)).numMeasured, 0)
    assert.equal(new Set(kept().map(({ key }) => JSON.stringify(key))).size, 8)
    const otherThreshold = await open({ policy: free(0.7) })
    assert.equal(otherThreshold.numMeasured, 0)
  })

  it('of a batch costs a row its share of shallow passes, and a flush of its own', async () => {
    await open({ batchSize: 3 })
    const [{ costs }] = kept()
    // The scripted engine runs rows one after the other, so that shares are what one row costs alone.
    assert.deepEqual([costs.shallowMs, costs.fullMs, costs.deep[0].ms], [4, 10, 8])
  })

  it('takes saved costs as they are, measures nothing and keeps nothing', async () => {
    const { rule, numMeasured } = await open({ costs: { ...sampleCosts(0), fullMs: 0.5 } })
    assert.equal(numMeasured, 0)
    assert.equal(rule.decide({ policy: free(0.5) }).isFull, true)
    assert.deepEqual(readdirSync(cacheFolder), [])
  })

  it('knows a calibration of the same exit and confidence only', async () => {
    const evidence = Array.from({ length: 40 }, () => ({ confidence: 0.2, agree: true }))
    const expected = async (shallowLayers: number, confidence: string) => {
      const calibration = calibrate(evidence, { shallowLayers, confidence })
      const engine = new ScriptedEngine(SCRIPTS)
      const { rule } = await open({ checkpoint: { engine, config, calibration }, costs: sampleCosts(0) })
      return rule.decide({ policy: free(0.5) }).exitShare
    }
    assert.equal(await expected(SHALLOW_LAYERS, 'top2-gap'), 0)
    assert.equal(await expected(SHALLOW_LAYERS + 1, 'top2-gap'), 1)
    assert.equal(await expected(SHALLOW_LAYERS, 'entropy'), 1)
  })
})
