// Beam search: the reference implementation's vectors, the search's arithmetic on its own, and how it goes with policies,
// batches and memory.
import assert from 'node:assert/strict'
import { beams, decode, decodeAll, decodeOne, free, full, lossless } from '../../src/decoding/index.js'
import { staticExit, type DecodeEvent, type DecoderEngine } from '../../src/decoding/index.js'
import { BeamSearch, type BeamOptions } from '../../src/decoding/selection/beamSearch.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { readParityBatches, readParityModel } from '../golden/parity.js'
import { checkBeams, sourcesOf } from './checkBeams.js'
import { createReferenceEngine } from './referenceEngine.js'
import { ReferenceModel } from './referenceModel.js'
import { byPosition, EOS, scriptedEngine } from './scriptedEngine.js'

checkBeams(({ config, weights }) => createReferenceEngine(new ReferenceModel(config, weights)), {
  engineName: 'plain engine',
  isComplete: false,
})

describe('on wasm', () => {
  before(() => chooseBackend({ backend: 'wasm' }))
  checkBeams(createTfjsEngine, { engineName: 'tfjs engine', isComplete: true })
})

describe('beams', () => {
  const options = { maxNewTokens: 10 }
  const sources = sourcesOf(readParityBatches('free-v11')[0])
  let engine: DecoderEngine
  before(async () => {
    await chooseBackend({ backend: 'wasm' })
    engine = createTfjsEngine(readParityModel('free-v11', 2))
  })
  after(() => engine.dispose())

  it('of one is greedy, under full and static', async () => {
    for (const policy of [full(), staticExit()]) {
      const selection = beams({ beams: 1 })
      const searched = await decodeAll(engine, sources, { ...options, policy, selection })
      for (const [i, { hypotheses, ...result }] of searched.entries()) {
        assert.deepEqual(result, await decodeOne(engine, sources[i], { ...options, policy }))
        assert.equal(hypotheses!.length, 1)
      }
    }
  })

  it('find the same for a row of a batch as alone', async () => {
    for (const policy of [full(), staticExit()]) {
      const selection = beams({ beams: 3 })
      const batched = await decodeAll(engine, sources, { ...options, policy, selection, batchSize: 5 })
      for (const [i, result] of batched.entries()) {
        assert.deepEqual(result, await decodeOne(engine, sources[i], { ...options, policy, selection }))
      }
    }
  })

  it('of static search the shallow exit: as on the plain engine', async () => {
    const { config, weights } = readParityModel('free-v11', 2)
    const plain = createReferenceEngine(new ReferenceModel(config, weights))
    for (const source of sources) {
      const search = { ...options, policy: staticExit(), selection: beams({ beams: 4 }) }
      const [{ hypotheses, ...ours }, expected] = [
        await decodeOne(engine, source, search),
        await decodeOne(plain, source, search),
      ]
      assert.deepEqual(
        hypotheses!.map(({ tokens }) => tokens),
        expected.hypotheses!.map(({ tokens }) => tokens),
      )
      assert.ok(ours.exitLayers.every((layer) => layer === 2) && ours.flushes.length === 0)
    }
  })

  it('cost what their passes cost, and tell all tokens in one commit when the search has ended', async () => {
    const events: DecodeEvent[] = []
    const search = { ...options, policy: full(), selection: beams({ beams: 4 }) }
    for await (const event of decode(engine, sources.slice(0, 1), search)) events.push(event)
    const end = events.at(-1)!
    assert.ok(end.type === 'end')
    const { tokens, steps, layerPasses, flushes } = end.result
    assert.deepEqual(
      events.map(({ type }) => type),
      ['encoded', ...tokens.map(() => 'token'), 'commit', 'end'],
    )
    assert.ok(steps > tokens.length && steps <= 4 * options.maxNewTokens)
    assert.equal(layerPasses, 5 * steps)
    assert.equal(flushes.length, tokens.length)
  })

  it('never repeat an n-gram where that is asked for', async () => {
    for (const size of [1, 2, 3]) {
      const search = { policy: full(), selection: beams({ beams: 4 }), maxNewTokens: 24, noRepeatNgram: size }
      for (const { hypotheses } of await decodeAll(engine, sources.slice(0, 2), search)) {
        for (const { tokens } of hypotheses!) {
          const grams = tokens.slice(size - 1).map((_, i) => tokens.slice(i, i + size).join())
          assert.equal(new Set(grams).size, grams.length)
        }
      }
    }
  })

  it('are refused under policies whose exits depend on a confidence, before anything is encoded', async () => {
    const scripted = byPosition([10, 0.9, 10])
    for (const policy of [free(), lossless()]) {
      await assert.rejects(decodeOne(scripted, [EOS], { policy, selection: beams({ beams: 2 }) }), {
        code: 'decoding.beams-policy',
        message: new RegExp(`got ${policy.name}$`),
      })
    }
    for (const option of ['flushAtEnd', 'evidence']) {
      const search = { policy: staticExit(), selection: beams({ beams: 2 }), [option]: true }
      await assert.rejects(decodeOne(scripted, [EOS], search), {
        code: 'decoding.beams-evidence',
        message: new RegExp(`^${option}: `),
      })
    }
    assert.deepEqual(scripted.log, [])
  })

  it('move rows of the engine, and start from one', async () => {
    const scripted = scriptedEngine(() => ({ shallow: 10, confidence: 0.9, deep: 10 }))
    await decodeOne(scripted, [EOS], { policy: full(), selection: beams({ beams: 2 }), maxNewTokens: 3 })
    assert.deepEqual(
      scripted.log.filter((line) => /^(push|reorder|run 1)/.test(line)),
      [
        ...['push 0 0', 'run 1 [0] -> 1', 'reorder [0,1] from [0,0]'],
        ...['push 0 10', 'push 1 11', 'run 1 [0,1] -> 1,1', 'reorder [0,1] from [0,0]'],
        ...['push 0 10', 'push 1 11', 'run 1 [0,1] -> 1,1'],
      ],
    )
  })
})

describe('the arithmetic of beam search', () => {
  const [A, B, C] = [10, 11, 12]
  const start = (options: Partial<BeamOptions> = {}, maxNewTokens = 9) =>
    new BeamSearch<string>(
      { beams: 2, lengthPenalty: 1, earlyStopping: false, ...options },
      { eosId: EOS, maxNewTokens },
    )
  const candidates = (...list: [token: number, logProbability: number][]) =>
    list.map(([token, logProbability]) => ({ token, logProbability }))
  const keep = ({ parent, token }: { parent: number; token: number }) => `${parent}:${token}`

  it('an end below the first beams is not kept', () => {
    const search = start()
    const running = search.extend([candidates([A, -1], [B, -2], [EOS, -3], [C, -4])], keep)
    assert.deepEqual(
      running.map(({ token }) => token),
      [A, B],
    )
    assert.deepEqual(search.finished, [])
  })

  it('an end among the first beams leaves its place to the next', () => {
    const search = start()
    const running = search.extend([candidates([A, -1], [EOS, -2], [B, -3], [C, -4])], keep)
    assert.deepEqual(
      running.map(({ token, sum }) => [token, sum]),
      [
        [A, -1],
        [B, -3],
      ],
    )
    assert.deepEqual(search.finished, [{ hypothesis: '0:1', score: -2 }])
  })

  it('scores are sums over length to the power of the penalty', () => {
    for (const lengthPenalty of [0, 0.6, 1, 2]) {
      const search = start({ lengthPenalty })
      search.extend([candidates([A, -1], [B, -1.5], [C, -5])], keep)
      search.extend([candidates([EOS, -1], [A, -2]), candidates([A, -4], [B, -5])], keep)
      assert.deepEqual(search.finished, [{ hypothesis: '0:1', score: -2 / 2 ** lengthPenalty }])
    }
  })

  it('it ends once no running hypothesis can become better, or with early stopping once enough have ended', () => {
    const ends = candidates([EOS, -4], [A, -4.1], [B, -4.2])
    const running = candidates([A, -0.1], [EOS, -0.2], [B, -9])
    for (const [earlyStopping, isDone] of [
      [true, true],
      [false, false],
    ]) {
      const search = start({ earlyStopping })
      search.extend([ends], keep)
      search.extend([running, ends], keep)
      assert.deepEqual(
        [search.finished.length, search.isDone],
        [2, isDone],
        `early stopping ${earlyStopping}`,
      )
    }
    const search = start()
    search.extend([candidates([EOS, -0.1], [A, -5], [B, -6])], keep)
    search.extend([candidates([EOS, -0.2], [A, -7]), candidates([EOS, -9], [B, -10])], keep)
    assert.ok(search.isDone)
  })

  it('at the length limit everything counts as ended', () => {
    const search = start({}, 1)
    assert.deepEqual(search.extend([candidates([A, -1], [B, -2], [EOS, -3])], keep), [])
    assert.deepEqual(
      search.finished.map(({ hypothesis }) => hypothesis),
      ['0:10', '0:11'],
    )
    assert.ok(search.isDone)
  })

  it('the pool keeps the best', () => {
    const search = start({ beams: 1, lengthPenalty: 0 })
    search.extend([candidates([EOS, -5], [A, -5.5])], keep)
    assert.ok(search.isDone)
    const long = start({ beams: 2, lengthPenalty: 2 })
    long.extend([candidates([EOS, -1], [A, -1.1], [B, -1.2])], keep)
    long.extend([candidates([EOS, -0.1], [A, -0.2]), candidates([EOS, -0.3], [A, -0.4])], keep)
    assert.deepEqual(
      long.finished.map(({ hypothesis, score }) => [hypothesis, score.toFixed(3)]),
      [
        ['0:1', '-0.300'],
        ['0:1', '-1.000'],
      ],
    )
  })
})
