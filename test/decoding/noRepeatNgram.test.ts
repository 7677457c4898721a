// No n-gram twice: against the reference implementation's processor, and its outputs, greedy and with beams.
import assert from 'node:assert/strict'
import { beams, decodeOne, full, lossless, type DecoderEngine } from '../../src/decoding/index.js'
import { forbiddenTokens } from '../../src/decoding/constraints.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { readParityModel } from '../golden/parity.js'
import { ngramCases } from '../golden/selection.js'

const info = { eosId: 1 } as DecoderEngine['info']

describe('noRepeatNgram', () => {
  it(`forbids what the reference forbids: ${ngramCases.banned.length} texts`, () => {
    for (const { n, ids, banned } of ngramCases.banned) {
      const forbidden = forbiddenTokens({ minNewTokens: 0, noRepeatNgram: n }, info)!
      assert.deepEqual(
        forbidden(ids).sort((a, b) => a - b),
        banned,
        `n = ${n} after ${ids}`,
      )
    }
  })

  it('goes with minNewTokens, and neither forbids anything where it is off', () => {
    const forbidden = forbiddenTokens({ minNewTokens: 2, noRepeatNgram: 1 }, info)!
    assert.deepEqual(forbidden([0, 7]).sort(), [0, 1, 7])
    assert.deepEqual(forbidden([0, 7, 8]).sort(), [0, 7, 8])
    assert.equal(forbiddenTokens({ minNewTokens: 0, noRepeatNgram: 0 }, info), undefined)
  })

  describe('gives the outputs of the reference', () => {
    before(() => chooseBackend({ backend: 'wasm' }))

    for (const checkpoint of new Set(ngramCases.outputs.map(({ checkpoint }) => checkpoint))) {
      const cases = ngramCases.outputs.filter((one) => one.checkpoint === checkpoint)
      it(`${checkpoint}: ${cases.length} outputs, greedy (also lossless) and with four beams and their scores`, async () => {
        const engine = createTfjsEngine(readParityModel(checkpoint))
        try {
          for (const { n, source, greedy, beams: hypotheses, scores, max_new_tokens } of cases) {
            const options = { maxNewTokens: max_new_tokens, noRepeatNgram: n }
            for (const policy of [full(), lossless(0.1)]) {
              assert.deepEqual((await decodeOne(engine, source, { ...options, policy })).tokens, greedy)
            }
            const selection = beams({ beams: 4 })
            const found = (await decodeOne(engine, source, { ...options, policy: full(), selection }))
              .hypotheses!
            assert.deepEqual(
              found.map(({ tokens }) => tokens),
              hypotheses,
            )
            // Scores are of the whole distribution, forbidden tokens included: 1e-4 is float32's.
            for (const [k, { score }] of found.entries()) assert.ok(Math.abs(score - scores[k]) <= 1e-4)
          }
        } finally {
          engine.dispose()
        }
      }).timeout(60_000)
    }
  })
})
