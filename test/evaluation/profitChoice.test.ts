// Whether early exits pay, as a pure function: the least expected cost of all that is considered, and full where all are
// dearer; and what is expected of the next tokens, counted by hand.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { calibrate } from '../../src/calibration/index.js'
import {
  chooseByCosts,
  LEAST_GAIN,
  CONSIDERED_BOUNDS,
  expectedCost,
  parseDecodingCosts,
  type DecodingCosts,
} from '../../src/evaluation/index.js'
import { addCounts, countEvidence, countExits, OPTIMISTIC } from '../../src/evaluation/exitEstimate.js'

const cost = fc.double({ min: 0.01, max: 20, noNaN: true })
const share = fc.double({ min: 0, max: 1, noNaN: true })

const anyCosts: fc.Arbitrary<DecodingCosts> = fc
  .record({
    shallowMs: cost,
    fullMs: cost,
    first: cost,
    rises: fc.array(cost, { minLength: 0, maxLength: 3 }),
  })
  .map(({ shallowMs, fullMs, first, rises }) => ({
    shallowMs,
    fullMs,
    deep: [0, ...rises].map((_, i) => ({
      positions: 2 ** i,
      ms: rises.slice(0, i).reduce((sum, rise) => sum + rise / 4, first),
    })),
  }))

const anyPattern = fc.record(
  { exitShare: share, numTokens: fc.integer({ min: 1, max: 24 }), agreement: share },
  { requiredKeys: ['exitShare', 'numTokens'] },
)

describe('the profit choice', () => {
  it('is full exactly where no early option saves the least gain, and else what costs least', () => {
    let numFull = 0
    let numRuns = 0
    fc.assert(
      fc.property(anyCosts, anyPattern, (costs, pattern) => {
        const choice = chooseByCosts(costs, pattern)
        const early = CONSIDERED_BOUNDS.map((maxPending) => ({
          maxPending,
          ms: expectedCost(costs, { ...pattern, maxPending: maxPending ?? undefined }).msPerToken,
        }))
        assert.equal(
          choice.isFull,
          early.every(({ ms }) => ms >= (1 - LEAST_GAIN) * costs.fullMs),
        )
        // What it says of the bound is true of it, and no other one is cheaper.
        assert.equal(early.find(({ maxPending }) => maxPending === choice.maxPending)!.ms, choice.msPerToken)
        assert.ok(early.every(({ ms }) => ms >= choice.msPerToken))
        numRuns++
        if (choice.isFull) numFull++
      }),
      { numRuns: 400 },
    )
    assert.ok(numFull > 0.1 * numRuns && numFull < 0.9 * numRuns, `${numFull} of ${numRuns} were full`)
  })

  it('of equals takes full, and then the stack without a bound', () => {
    const flat = { shallowMs: 1, deep: [{ positions: 1, ms: 3 }] }
    const none = { exitShare: 0, numTokens: 9 }
    assert.deepEqual(chooseByCosts({ ...flat, fullMs: 4 }, none), {
      isFull: true,
      maxPending: null,
      msPerToken: 4,
      fullMsPerToken: 4,
    })
    assert.equal(chooseByCosts({ ...flat, fullMs: 4.2 }, none).isFull, true)
    assert.equal(chooseByCosts({ ...flat, fullMs: 4.22 }, none).isFull, false)
  })

  it('bounds the stack where long drafts fall, and where large passes are dear', () => {
    const deep = [1, 2, 4, 8].map((positions) => ({ positions, ms: 3 + positions }))
    const costs = { shallowMs: 2, deep, fullMs: 6 }
    const surest = chooseByCosts(costs, { exitShare: 1, numTokens: 24, agreement: 1 })
    const unsure = chooseByCosts(costs, { exitShare: 1, numTokens: 24, agreement: 0.6 })
    assert.equal(surest.maxPending, null)
    assert.ok(unsure.maxPending !== null && unsure.maxPending <= 2, `${unsure.maxPending}`)
    const steep = [
      { positions: 1, ms: 4 },
      { positions: 2, ms: 5 },
      { positions: 3, ms: 40 },
    ]
    const bounded = chooseByCosts({ ...costs, deep: steep }, { exitShare: 0.8, numTokens: 24 })
    assert.deepEqual([bounded.isFull, bounded.maxPending], [false, 1])
  })

  it('takes costs only of the right form', () => {
    const good = { shallowMs: 1, deep: [{ positions: 1, ms: 2 }], fullMs: 3 }
    assert.deepEqual(parseDecodingCosts(good, 'x'), good)
    for (const bad of [
      { ...good, fullMs: 0 },
      { ...good, deep: [] },
      { ...good, deep: [{ positions: 2, ms: 2 }] },
      { ...good, deep: [...good.deep, { positions: 1, ms: 2 }] },
      { ...good, more: 1 },
    ]) {
      assert.throws(() => parseDecodingCosts(bad, 'x'), /^ShallowDeepError: x: /)
    }
  })
})

describe('what is expected of exits', () => {
  // Left and stood; left and fell; went deep by itself; was overruled by a full stack.
  const seen = {
    confidences: [0.9, 0.7, 0.2, 0.8],
    exits: ['shallow', 'deep', 'deep', 'deep'],
    fallen: [0.7],
  } as const

  it('is counted from a sequence, at its own threshold and at others', () => {
    assert.deepEqual(countExits(seen, 0.5), { tokens: 4, leaving: 3, verified: 2, standing: 1 })
    assert.deepEqual(countExits(seen, 0.75), { tokens: 4, leaving: 2, verified: 1, standing: 1 })
    // Below its own threshold nobody knows what would have fallen.
    assert.deepEqual(countExits(seen, 0.1), { tokens: 4, leaving: 4, verified: 2, standing: 1 })
    assert.deepEqual(addCounts([countExits(seen, 0.5), OPTIMISTIC]), {
      tokens: 8,
      leaving: 7,
      verified: 6,
      standing: 5,
    })
  })

  it('is what a calibration’s evidence says of a threshold, of limited weight', () => {
    const evidence = [0.11, 0.31, 0.51, 0.71, 0.91].flatMap((confidence, i) =>
      Array.from({ length: 40 }, (_, n) => ({ confidence, agree: n < 8 * (i + 1) })),
    )
    const calibration = calibrate(evidence, { shallowLayers: 1 })
    const { tokens, leaving, verified, standing } = countEvidence(calibration, 0.6)
    assert.equal(tokens, 64)
    assert.equal(leaving / tokens, 0.4)
    assert.ok(Math.abs(standing / verified - 0.9) < 1e-12)
    assert.equal(countEvidence(calibration, 0).leaving, 64)
    assert.equal(countEvidence(calibration, 1).leaving, 0)
    // In the middle of the bin that holds a fifth of all.
    assert.ok(Math.abs(countEvidence(calibration, 0.91).leaving / 64 - 0.1) < 1e-9)
    assert.equal(countEvidence(calibrate([], { shallowLayers: 1 }), 0.5), OPTIMISTIC)
    assert.equal(countEvidence(calibrate(evidence.slice(0, 3), { shallowLayers: 1 }), 0).tokens, 3)
  })
})
