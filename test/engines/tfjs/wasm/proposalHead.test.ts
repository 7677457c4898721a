// Tokens proposed by an 8-bit head on wasm: wherever one is told, it is what the float32 head chooses, and probabilities lie
// within their bounds.
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import * as tf from '@tensorflow/tfjs'
import { modelConfigSchema, parseConfig } from '../../../../src/config/index.js'
import { createCalibrator, type Calibrator } from '../../../../src/calibration/index.js'
import {
  decodeAll,
  free,
  full,
  lossless,
  type DecoderEngine,
  type ExitChoice,
  type Policy,
} from '../../../../src/decoding/index.js'
import { chooseBackend } from '../../../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../../../src/engines/tfjs/engine.js'
import { chooseRows } from '../../../../src/engines/tfjs/wasm/choice.js'
import { currentKernels, type Kernels } from '../../../../src/engines/tfjs/wasm/kernels.js'
import { ProposalHead } from '../../../../src/engines/tfjs/wasm/proposalHead.js'
import { initialWeights } from '../../../../src/model/index.js'
import { Random } from '../../../../src/random.js'

interface Drawn {
  readonly depth: number
  readonly vocabSize: number
  readonly rows: number
  readonly seed: number
  /** Standard deviation of the head's numbers: small ones give flat distributions. */
  readonly scale: number
  /** How columns are to equal each other: not at all, to the last bit, or but for it. */
  readonly twins: 'none' | 'equal' | 'near'
}

const drawn: fc.Arbitrary<Drawn> = fc.record({
  depth: fc.constantFrom(48, 64, 192),
  vocabSize: fc.integer({ min: 512, max: 800 }).map((n) => 4 * n),
  rows: fc.integer({ min: 1, max: 3 }),
  seed: fc.nat(),
  scale: fc.constantFrom(1e-3, 0.1, 0.5, 2),
  twins: fc.constantFrom('none', 'equal', 'near'),
})

describe('tokens proposed by an 8-bit head on wasm', () => {
  let kernels: Kernels
  before(async () => {
    await chooseBackend({ backend: 'wasm', threads: 2 })
    kernels = currentKernels()!
  })

  const choose = (head: ProposalHead, states: tf.Tensor2D, exit: Parameters<ProposalHead['choose']>[2]) =>
    head.choose({ at: kernels.at(states), stride: states.shape[1] }, states.shape[0], exit)

  /** A head, states, what the float32 head says of them, and what is proposed; everything is freed after `check`. */
  function withHead(
    { depth, vocabSize, rows, seed, scale, twins }: Drawn,
    check: (
      head: ProposalHead,
      states: tf.Tensor2D,
      exact: { readonly logits: number[][]; readonly choices: readonly ExitChoice[] },
    ) => void,
  ): void {
    const random = new Random(seed)
    const data = Float32Array.from(
      { length: depth * vocabSize },
      () => (scale * random.normal() * 7) / Math.sqrt(depth),
    )
    if (twins !== 'none') {
      const bits = new Uint32Array(data.buffer)
      for (let row = 0; row < depth; row++) {
        for (let token = 0; token + 1 < vocabSize; token += 2) {
          const [from, to] = [row * vocabSize + token, row * vocabSize + token + 1]
          bits[to] = bits[from] + (twins === 'near' && row === token % depth ? 1 : 0)
        }
      }
    }
    const numTensors = tf.memory().numTensors
    tf.tidy(() => {
      const plain = tf.tensor2d(data, [depth, vocabSize])
      const states = tf.tensor2d(
        Float32Array.from({ length: rows * depth }, () => random.normal()),
        [rows, depth],
      )
      const head = ProposalHead.of(kernels, plain, { data, shape: [depth, vocabSize] })!
      const logits = tf.matMul(states, plain)
      check(head, states, {
        logits: logits.arraySync() as number[][],
        choices: chooseRows(kernels, {
          logits: { at: kernels.at(logits), stride: vocabSize },
          found: kernels.at(tf.zeros([5 * rows])),
          ...{ rows, vocabSize, choice: 'probabilities' },
        }),
      })
      head.dispose()
      head.dispose()
    })
    assert.equal(tf.memory().numTensors, numTensors)
  }

  it('are the best ones of the float32 head, also among twins', () => {
    let [asked, shown] = [0, 0]
    fc.assert(
      fc.property(drawn, (sizes) => {
        withHead(sizes, (head, states, { choices }) => {
          const proposed = choose(head, states, { choice: 'token' })
          assert.equal(proposed.length, sizes.rows)
          for (const [n, choice] of proposed.entries()) {
            asked++
            if (!choice) continue
            shown++
            assert.deepEqual(choice, { token: choices[n].token })
          }
        })
      }),
      { numRuns: 150 },
    )
    assert.ok(shown > 0.95 * asked, `${shown} of ${asked}`)
  })

  it('have probabilities whose bounds hold the exact ones, and that are near them', () => {
    let [asked, shown] = [0, 0]
    fc.assert(
      fc.property(drawn, (sizes) => {
        withHead(sizes, (head, states, { logits, choices }) => {
          const bounds = new Map<number, readonly [ExitChoice, ExitChoice]>()
          const settles = (n: number, low: ExitChoice, high: ExitChoice) => {
            bounds.set(n, [low, high])
            return true
          }
          const proposed = choose(head, states, { choice: 'probabilities', settles })
          for (const [n, choice] of proposed.entries()) {
            asked++
            if (!choice) continue
            shown++
            const order = [...logits[n]].sort((a, b) => b - a)
            const sum = logits[n].reduce((all, logit) => all + Math.exp(logit - order[0]), 0)
            const exact = { top1: 1 / sum, top2: Math.exp(order[1] - order[0]) / sum }
            assert.equal(choice.token, choices[n].token)
            const [low, high] = bounds.get(n)!
            for (const name of ['top1', 'top2'] as const) {
              assert.ok(low[name]! <= exact[name] && exact[name] <= high[name]!, `${name} ${exact[name]}`)
              assert.ok(
                low[name]! <= choice[name]! && choice[name]! <= high[name]!,
                `${name} ${choice[name]}`,
              )
              assert.ok(Math.abs(choice[name]! - exact[name]) < 5e-3, `${choice[name]}, not ${exact[name]}`)
            }
          }
        })
      }),
      {
        numRuns: 150,
        // Where all but the best is next to nothing.
        examples: [[{ depth: 64, vocabSize: 2592, rows: 1, seed: 13, scale: 2, twins: 'none' }]],
      },
    )
    assert.ok(shown > 0.5 * asked, `${shown} of ${asked}`)
  })

  const sizes: Drawn = { depth: 16, vocabSize: 2048, rows: 1, seed: 1, scale: 1, twins: 'none' }

  it('are told of probabilities only where bounds are settled', () => {
    withHead(sizes, (head, states) => {
      assert.deepEqual(choose(head, states, { choice: 'probabilities' }), [undefined])
      assert.deepEqual(choose(head, states, { choice: 'probabilities', settles: () => false }), [undefined])
    })
  })

  it('are none where a state is no number, or says nothing', () => {
    withHead(sizes, (head, states) => {
      for (const factor of [NaN, Infinity, 0]) {
        assert.deepEqual(choose(head, tf.mul(states, factor), { choice: 'token' }), [undefined])
      }
      assert.notDeepEqual(choose(head, states, { choice: 'token' }), [undefined])
    })
  })

  it('come of a head of many numbers only', () => {
    tf.tidy(() => {
      const of = (value: number, vocabSize: number) => {
        const plain: tf.Tensor2D = tf.fill([16, vocabSize], 1)
        const data = new Float32Array(16 * vocabSize).fill(1)
        data[5] = value
        return ProposalHead.of(kernels, plain, { data, shape: plain.shape })
      }
      for (const value of [NaN, Infinity, -Infinity]) assert.equal(of(value, 4096), undefined)
      assert.equal(of(1, 96), undefined)
      const head = of(1, 4096)
      assert.ok(head)
      head.dispose()
    })
  })

  it('are not asked for any more where little is shown', () => {
    // Every token has the same logit: none can be shown to be the best.
    tf.tidy(() => {
      const plain: tf.Tensor2D = tf.fill([16, 2048], 1)
      const data = new Float32Array(16 * 2048).fill(1)
      const head = ProposalHead.of(kernels, plain, { data, shape: plain.shape })!
      const { share } = kernels
      let numAsked = 0
      kernels.share = (...product) => {
        numAsked++
        share.apply(kernels, product)
      }
      try {
        for (let i = 0; i < 200; i++) {
          assert.deepEqual(choose(head, tf.ones([1, 16]), { choice: 'token' }), [undefined])
        }
      } finally {
        kernels.share = share
        head.dispose()
      }
      assert.equal(numAsked, 64)
    })
  })

  describe('of an engine with a large vocabulary', () => {
    let engine: DecoderEngine
    const sources = Array.from({ length: 12 }, (_, i) => [3 + 17 * i, 900 + i, 1])

    before(() => {
      const config = parseConfig(
        modelConfigSchema,
        {
          ...{
            vocabSize: 4000,
            dModel: 32,
            numHeads: 4,
            dKv: 8,
            dFf: 64,
            encoderLayers: 1,
            decoderLayers: 4,
          },
          ...{ shallowLayers: 2, feedForward: 'relu', tieEmbeddings: false, scaleLogits: false },
        },
        'model',
      )
      const weights = initialWeights(config, 3)
      // Sure enough of some tokens, and not of others.
      for (const x of [weights.get('head')!.data]) for (let i = 0; i < x.length; i++) x[i] *= 2
      engine = createTfjsEngine({ config, weights })
    })
    after(() => engine.dispose())

    /** Positions of whose proposals some came to something. */
    async function decode(policy: Policy, exactConfidence: boolean, evidence = false) {
      const { choose } = ProposalHead.prototype
      let numShown = 0
      ProposalHead.prototype.choose = function (...asked) {
        const proposed = choose.apply(this, asked)
        numShown += proposed.filter(Boolean).length
        return proposed
      }
      try {
        const options = { policy, maxNewTokens: 12, exactConfidence, evidence }
        const results = await decodeAll(engine, sources, options)
        return { results, numShown }
      } finally {
        ProposalHead.prototype.choose = choose
      }
    }

    for (const threshold of [0.02, 0.1, 0.3]) {
      for (const policy of [free, lossless]) {
        it(`${policy.name} at ${threshold} gives the same tokens and exits, and confidences near the exact ones`, async () => {
          const [near, exact] = [
            await decode(policy(threshold), false, true),
            await decode(policy(threshold), true, true),
          ]
          assert.ok(near.numShown > exact.numShown)
          let numShallow = 0
          let numSeen = 0
          for (const [i, { confidences, evidence, ...result }] of near.results.entries()) {
            const { confidences: expected, evidence: seen, ...rest } = exact.results[i]
            assert.deepEqual(result, rest)
            numShallow += result.exits.filter((exit) => exit === 'shallow').length
            for (const [at, confidence] of confidences.entries()) {
              assert.ok(Math.abs(confidence! - expected[at]!) < 5e-3, `${confidence} ${expected[at]}`)
              assert.equal(confidence! > threshold, expected[at]! > threshold)
            }
            assert.deepEqual(
              evidence.map(({ agree }) => agree),
              seen.map(({ agree }) => agree),
            )
            numSeen += seen.length
          }
          assert.ok(numShallow > 0 && numSeen > 0)
        })
      }
    }

    it('gives a calibrator that learns exact confidences, of the sequences that it wants', async () => {
      const everyOther = () => {
        let numObserved = 0
        const calibrator = {
          ...{ name: 'every other', isAdaptive: true, threshold: 0.1 },
          wantsEvidence: (index: number) => (numObserved + index) % 2 === 0,
          observe: () => void numObserved++,
        }
        return calibrator as unknown as Calibrator
      }
      const near = await decode(free(everyOther()), false)
      const exact = await decode(free(everyOther()), true)
      assert.ok(near.numShown > exact.numShown)
      let numNear = 0
      for (const [i, result] of near.results.entries()) {
        assert.equal(result.evidence.length > 0, i % 2 === 0)
        if (i % 2 === 0) assert.deepEqual(result, exact.results[i])
        else if (!isDeepStrictEqual(result.confidences, exact.results[i].confidences)) numNear++
      }
      assert.ok(numNear > 0)
    })

    it('full gives the tokens that the float32 head gives', async () => {
      const { results, numShown } = await decode(full(), true)
      assert.ok(numShown > 100)
      const { choose } = ProposalHead.prototype
      ProposalHead.prototype.choose = (_, rows) => Array.from({ length: rows }, () => undefined)
      try {
        assert.deepEqual((await decode(full(), true)).results, results)
      } finally {
        ProposalHead.prototype.choose = choose
      }
    })

    it('a calibrator that learns is given exact confidences', async () => {
      const policy = () => free(createCalibrator('beta-mixture'))
      const [plain, exact] = [await decode(policy(), false), await decode(policy(), true)]
      assert.deepEqual(plain.results, exact.results)
    })
  })
})
