// Sampling: the reference implementation's warpers, what draws depend on, and the distribution of outputs. That of
// lossless must be that of full, which mistakes in its acceptance would spoil.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { decodeAll, decodeOne, free, full, lossless, sample, staticExit } from '../../src/decoding/index.js'
import {
  warp,
  type Draft,
  type ExitChoice,
  type RowResult,
  type Selection,
} from '../../src/decoding/index.js'
import { Sampler } from '../../src/decoding/selection/sample.js'
import { SingleSequence } from '../../src/decoding/sequence.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { Random } from '../../src/random.js'
import { readParityBatches, readParityModel } from '../golden/parity.js'
import { warperCases } from '../golden/selection.js'
import { sourcesOf } from './checkBeams.js'
import { deviationOf, drawMany, exactProbabilities, tinyModel } from './drawnSequences.js'
import { createReferenceEngine } from './referenceEngine.js'
import { ReferenceModel, softmax } from './referenceModel.js'

describe('warping a distribution', () => {
  it(`gives the probabilities of the reference's warpers: ${warperCases.length} distributions`, () => {
    for (const { temperature, top_k: topK, top_p: topP, logits, kept, probabilities } of warperCases) {
      const actual = warp(logits, { temperature, topK, topP })
      assert.equal(actual.filter((p) => p > 0).length, kept)
      for (const [token, expected] of probabilities.entries()) {
        // The vectors are rounded to nine digits.
        const isNear = Math.abs(actual[token] - expected) <= 1e-6
        if (!isNear)
          assert.fail(`${temperature}, ${topK}, ${topP}: ${token}: ${actual[token]}, not ${expected}`)
      }
    }
  })

  it('keeps one token at least, all of equal ones, and never a forbidden one', () => {
    assert.deepEqual([...warp([1, 3, 2], { temperature: 1, topK: null, topP: 1e-9 })], [0, 1, 0])
    assert.deepEqual([...warp([2, 2, 1], { temperature: 1, topK: 1, topP: null })], [0.5, 0.5, 0])
    assert.equal(warp([1, -1e9, 2], { temperature: 1.5, topK: 3, topP: 0.99 })[1], 0)
  })
})

describe('sampling', () => {
  const { config, weights } = readParityModel('free-v11', 2)
  const model = new ReferenceModel(config, weights)
  const engine = createReferenceEngine(model)
  const sources = sourcesOf(readParityBatches('free-v11')[0])
  const options = { maxNewTokens: 16 }
  const policies = { full: full(), static: staticExit(), free: free(0.4), lossless: lossless(0.2) }

  it('draws the same for a seed and a source, whatever the batch size and the rest of the batch', async () => {
    for (const policy of Object.values(policies)) {
      const selection = sample({ temperature: 1.2, topK: 20, seed: 5 })
      const decoded = await decodeAll(engine, sources, { ...options, policy, selection })
      for (const batchSize of [2, 3, 5]) {
        assert.deepEqual(
          await decodeAll(engine, sources, { ...options, policy, selection, batchSize }),
          decoded,
        )
      }
      for (const firstOrdinal of [4, 2, 0]) {
        const alone = await decodeOne(engine, sources[firstOrdinal], {
          ...options,
          policy,
          selection,
          firstOrdinal,
        })
        assert.deepEqual(alone, decoded[firstOrdinal], policy.name)
      }
    }
  })

  it('draws otherwise for another seed and for the same source once more', async () => {
    const same = [sources[0], sources[0], sources[0]]
    const draw = async (seed: number) =>
      (await decodeAll(engine, same, { ...options, policy: full(), selection: sample({ seed }) })).map(
        (result) => result.tokens.join(),
      )
    const all = [...(await draw(1)), ...(await draw(2))]
    assert.equal(new Set(all).size, all.length)
  })

  it('with one token to draw from is greedy, under every policy', async () => {
    for (const policy of Object.values(policies)) {
      const selection = sample({ topK: 1 })
      assert.deepEqual(
        await decodeAll(engine, sources, { ...options, policy, selection }),
        await decodeAll(engine, sources, { ...options, policy }),
        policy.name,
      )
    }
  })

  it('free and lossless with threshold 1 draw what full draws, step for step', async () => {
    const selection = sample({ temperature: 0.9, topP: 0.9, seed: 3 })
    const tokensOf = (results: readonly RowResult[]) => results.map(({ tokens }) => tokens)
    const expected = await decodeAll(engine, sources, { ...options, policy: full(), selection })
    for (const policy of [free(1), lossless(1)]) {
      const actual = await decodeAll(engine, sources, { ...options, policy, selection })
      assert.deepEqual(tokensOf(actual), tokensOf(expected))
    }
  })

  it('leaves confidences and evidence those of the distribution that is not warped', async () => {
    const selection = sample({ temperature: 2, topK: 10, seed: 9 })
    const decoded = await decodeAll(engine, sources, {
      ...options,
      policy: free(0.3),
      selection,
      flushAtEnd: true,
    })
    for (const [i, { tokens, evidence }] of decoded.entries()) {
      const source = model.encode(sources[i])
      assert.equal(evidence.length, tokens.length)
      for (const { position, confidence, agree } of evidence) {
        const prefix = [config.decoderStartId, ...tokens.slice(0, position)]
        const [shallow, deep] = [2, 5].map((layer) => model.logits(source, prefix, layer))
        const [top1, top2] = softmax(shallow).sort((a, b) => b - a)
        assert.ok(Math.abs(confidence - (top1 - top2)) < 1e-9)
        const best = (logits: Float64Array) => logits.indexOf(Math.max(...logits))
        assert.equal(agree, best(shallow) === best(deep))
      }
    }
  })
})

describe('sampling on wasm', () => {
  before(() => chooseBackend({ backend: 'wasm' }))

  it('draws what the plain engine draws, and leaks nothing', async () => {
    const { config, weights } = readParityModel('free-v11', 2)
    const plain = createReferenceEngine(new ReferenceModel(config, weights))
    const engine = createTfjsEngine({ config, weights })
    const sources = sourcesOf(readParityBatches('free-v11')[0])
    const numTensors = tf.memory().numTensors
    for (const policy of [full(), staticExit(), free(0.4), lossless(0.2)]) {
      const options = {
        maxNewTokens: 10,
        policy,
        selection: sample({ temperature: 1.3, topP: 0.9, seed: 2 }),
      }
      const [ours, theirs] = [
        await decodeAll(engine, sources, options),
        await decodeAll(plain, sources, options),
      ]
      for (const [i, { tokens, exits }] of ours.entries()) {
        assert.deepEqual([tokens, exits], [theirs[i].tokens, theirs[i].exits])
      }
    }
    assert.equal(tf.memory().numTensors, numTensors)
    engine.dispose()
  })
})

describe('the distribution of drawn outputs', () => {
  const engine = createReferenceEngine(tinyModel)
  const [shallow, deep] = [1, 2]
  const warpings = [
    { temperature: 1, topK: null, topP: null },
    { temperature: 1.5, topK: 6, topP: 0.95 },
  ]
  const numDraws = 8_000
  /** One in 30,000 right programs would be further away; the seeds are fixed, so this is no matter of chance. */
  const LIMIT = 4

  for (const [i, warping] of warpings.entries()) {
    const selection = sample({ ...warping, seed: 100 + i })

    it(`full draws from the deep exit, static from the shallow one, warping ${i + 1}`, async () => {
      const drawn = await drawMany(engine, numDraws, { policy: full(), selection })
      assert.ok(deviationOf(drawn, exactProbabilities(warping, deep)) < LIMIT)
      assert.ok(deviationOf(drawn, exactProbabilities(warping, shallow)) > 20, 'the exits differ')
      const drawnShallow = await drawMany(engine, numDraws, { policy: staticExit(), selection })
      assert.ok(deviationOf(drawnShallow, exactProbabilities(warping, shallow)) < LIMIT)
    })

    for (const threshold of [0, 0.3]) {
      it(`lossless draws as full does, threshold ${threshold}, warping ${i + 1}`, async () => {
        const exact = exactProbabilities(warping, deep)
        for (const maxPending of [null, 1]) {
          const drawn = await drawMany(engine, numDraws, {
            policy: lossless(threshold),
            selection,
            maxPending,
          })
          const deviation = deviationOf(drawn, exact)
          assert.ok(deviation < LIMIT, `deviation ${deviation}`)
          const share = (isIt: (result: RowResult) => boolean) => drawn.filter(isIt).length / numDraws
          assert.ok(share(({ retracted }) => retracted > 0) > 0.1, 'drafts are refused')
          assert.ok(share(({ exits }) => exits.includes('shallow')) > 0.2, 'drafts are accepted')
        }
      })
    }
  }

  /** Acceptance gone wrong, which the test must notice. */
  const mistakes: Readonly<Record<string, (self: Mistaken, draft: Draft, deep: ExitChoice) => number>> = {
    'accepts every draft': (_self, { token }) => token,
    'accepts a draft where the deep exit has the same best token': (self, { token, choice }, deep) =>
      choice.token === deep.token ? token : self.choose(deep),
    'draws a refused token anew from all of p': (self, draft, deep) =>
      self.accepts(draft, deep) ? draft.token : self.choose(deep),
    'accepts by the probabilities before warping': (self, draft, deep) =>
      self.accepts(draft, deep, { temperature: 1, topK: null, topP: null })
        ? draft.token
        : self.fill(draft, deep),
    'accepts with the ratio the wrong way round': (self, { token, choice }, deep) =>
      self.accepts({ token, choice: deep }, choice) ? token : self.fill({ token, choice }, deep),
  }

  class Mistaken extends Sampler {
    verifyAs: ((self: Mistaken, draft: Draft, deep: ExitChoice) => number) | undefined
    override verify(draft: Draft, deep: ExitChoice): number {
      return this.verifyAs!(this, draft, deep)
    }
    accepts({ token, choice }: Draft, deep: ExitChoice, warping = this.options): boolean {
      const [q, p] = [choice, deep].map(({ logits }) => warp(logits!, warping))
      return this.random.uniform() * q[token] < p[token]
    }
    fill({ choice }: Draft, deep: ExitChoice): number {
      const [q, p] = [choice, deep].map(({ logits }) => warp(logits!, this.options))
      const rest = [...p].map((value, t) => Math.log(Math.max(1e-300, value - q[t])))
      return new Sampler({ temperature: 1, topK: null, topP: null }, this.random).choose({
        token: 0,
        logits: Float32Array.from(rest),
      })
    }
  }

  for (const [name, verifyAs] of Object.entries(mistakes)) {
    it(`notices an acceptance that ${name}`, async () => {
      const [, warping] = warpings
      const selection: Selection = {
        ...sample(warping),
        start: (start) => {
          const sampler = new Mistaken(warping, new Random(7).fork(start.ordinal))
          sampler.verifyAs = verifyAs
          return new SingleSequence(start, sampler)
        },
      }
      const drawn = await drawMany(engine, numDraws, { policy: lossless(0), selection })
      const deviation = deviationOf(drawn, exactProbabilities(warping, deep))
      assert.ok(deviation > 2 * LIMIT, `deviation ${deviation}`)
    })
  }

  it('and not one that is put together rightly from the same parts', async () => {
    const [, warping] = warpings
    const selection: Selection = {
      ...sample(warping),
      start: (start) => {
        const sampler = new Mistaken(warping, new Random(7).fork(start.ordinal))
        sampler.verifyAs = (self, draft, deep) =>
          self.accepts(draft, deep) ? draft.token : self.fill(draft, deep)
        return new SingleSequence(start, sampler)
      },
    }
    const drawn = await drawMany(engine, numDraws, { policy: lossless(0), selection })
    assert.ok(deviationOf(drawn, exactProbabilities(warping, deep)) < LIMIT)
  })
})
