// The cost of early exits: against a simulation token by token, a closed form, and by hand.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { expectedCost, passCost, type SegmentCosts } from '../../src/evaluation/index.js'
import { Random } from '../../src/random.js'

const COSTS: SegmentCosts = {
  shallowMs: 1,
  deep: [
    { positions: 1, ms: 5 },
    { positions: 2, ms: 6 },
    { positions: 4, ms: 9 },
  ],
}

/** Plays sequences with a coin a token, as the decoding loop does it. */
function simulate(
  costs: SegmentCosts,
  {
    exitShare,
    numTokens,
    maxPending = Infinity,
  }: { exitShare: number; numTokens: number; maxPending?: number },
  numSequences: number,
) {
  const random = new Random(5)
  let [ms, flushes, flushed] = [0, 0, 0]
  for (let sequence = 0; sequence < numSequences; sequence++) {
    let pending = 0
    for (let token = 0; token < numTokens; token++) {
      ms += costs.shallowMs
      if (pending < maxPending && random.uniform() < exitShare) {
        pending++
        continue
      }
      ms += passCost(costs.deep, pending + 1)
      flushes++
      flushed += pending + 1
      pending = 0
    }
  }
  const numAll = numSequences * numTokens
  return { msPerToken: ms / numAll, flushesPerToken: flushes / numAll, meanFlushSize: flushed / flushes }
}

/** Plays sequences whose flushes look at what is pending, token by token: what falls is decoded again. */
function simulateVerified(
  costs: SegmentCosts,
  pattern: { exitShare: number; numTokens: number; maxPending?: number; agreement: number },
  numSequences: number,
) {
  const { exitShare, numTokens, maxPending = Infinity, agreement } = pattern
  const random = new Random(6)
  let [ms, flushes, flushed] = [0, 0, 0]
  for (let sequence = 0; sequence < numSequences; sequence++) {
    let [settled, pending] = [0, 0]
    const flush = (positions: number) => {
      ms += passCost(costs.deep, positions)
      flushes++
      flushed += positions
      let standing = 0
      while (standing < pending && random.uniform() < agreement) standing++
      // The deep exit's token comes in place of the one that fell, or after all.
      settled += Math.min(standing + 1, positions)
      pending = 0
    }
    while (settled < numTokens) {
      if (settled + pending === numTokens) {
        flush(pending)
        continue
      }
      ms += costs.shallowMs
      if (pending < maxPending && random.uniform() < exitShare) pending++
      else flush(pending + 1)
    }
  }
  const numAll = numSequences * numTokens
  return { msPerToken: ms / numAll, flushesPerToken: flushes / numAll, meanFlushSize: flushed / flushes }
}

describe('expected cost of early exits', () => {
  for (const pattern of [
    { exitShare: 0.3, numTokens: 12 },
    { exitShare: 0.8, numTokens: 25 },
    { exitShare: 0.95, numTokens: 10 },
    { exitShare: 0.8, numTokens: 25, maxPending: 2 },
    { exitShare: 0.5, numTokens: 3, maxPending: 0 },
  ]) {
    it(`is what a simulation comes to: ${JSON.stringify(pattern)}`, () => {
      const expected = expectedCost(COSTS, pattern)
      const played = simulate(COSTS, pattern, 20_000)
      // About four standard deviations of means over 20,000 sequences.
      assert.ok(Math.abs(played.msPerToken / expected.msPerToken - 1) < 0.01)
      assert.ok(Math.abs(played.flushesPerToken / expected.flushesPerToken - 1) < 0.02)
      assert.ok(Math.abs(played.meanFlushSize / expected.meanFlushSize! - 1) < 0.02)
    })
  }

  for (const pattern of [
    { exitShare: 0.6, numTokens: 12, agreement: 0.9 },
    { exitShare: 0.9, numTokens: 25, agreement: 0.7 },
    { exitShare: 0.9, numTokens: 25, agreement: 0.7, maxPending: 2 },
    { exitShare: 1, numTokens: 6, agreement: 0.5 },
    { exitShare: 0.8, numTokens: 9, agreement: 0, maxPending: 9 },
    { exitShare: 0.5, numTokens: 3, agreement: 1, maxPending: 0 },
  ]) {
    it(`where flushes verify is what a simulation comes to: ${JSON.stringify(pattern)}`, () => {
      const expected = expectedCost(COSTS, pattern)
      const played = simulateVerified(COSTS, pattern, 20_000)
      assert.ok(Math.abs(played.msPerToken / expected.msPerToken - 1) < 0.01)
      assert.ok(Math.abs(played.flushesPerToken / expected.flushesPerToken - 1) < 0.02)
      assert.ok(Math.abs(played.meanFlushSize / expected.meanFlushSize! - 1) < 0.02)
    })
  }

  it('where all stands differs from what is not verified by the flush at the end alone', () => {
    const pattern = { exitShare: 0.5, numTokens: 1 }
    assert.equal(expectedCost(COSTS, { ...pattern, agreement: 1 }).msPerToken, 1 + 5)
    assert.equal(expectedCost(COSTS, pattern).msPerToken, 1 + 5 / 2)
    // None leave: nothing is pending at the end.
    assert.deepEqual(
      expectedCost(COSTS, { exitShare: 0, numTokens: 7, agreement: 0.3 }),
      expectedCost(COSTS, { exitShare: 0, numTokens: 7 }),
    )
  })

  it('of long sequences and linear passes a + b n is S + (1 - p) a + b, whatever the sizes of flushes', () => {
    const costs = { shallowMs: 2, deep: [1, 3].map((positions) => ({ positions, ms: 7 + 0.5 * positions })) }
    for (const exitShare of [0, 0.4, 0.9]) {
      const { msPerToken, flushesPerToken, meanFlushSize } = expectedCost(costs, {
        exitShare,
        numTokens: 2000,
      })
      assert.ok(Math.abs(msPerToken - (2 + (1 - exitShare) * 7 + 0.5)) < 0.01)
      assert.ok(Math.abs(flushesPerToken - (1 - exitShare)) < 1e-9)
      assert.ok(Math.abs(meanFlushSize! - 1 / (1 - exitShare)) < 0.1)
    }
  })

  it('without exits is a pass of each segment a token, and with exits only no deep pass at all', () => {
    assert.deepEqual(expectedCost(COSTS, { exitShare: 0, numTokens: 9 }), {
      msPerToken: 6,
      flushesPerToken: 1,
      meanFlushSize: 1,
    })
    assert.deepEqual(expectedCost(COSTS, { exitShare: 1, numTokens: 9 }), {
      msPerToken: 1,
      flushesPerToken: 0,
      meanFlushSize: null,
    })
  })

  it('of two tokens is as worked out by hand', () => {
    // Both deep: 1/4 of (5 + 5); first deep: 1/4 of 5; second deep: 1/4 of 6; none: 0.
    assert.equal(expectedCost(COSTS, { exitShare: 0.5, numTokens: 2 }).msPerToken, 1 + (10 + 5 + 6) / 4 / 2)
  })

  it('falls as more tokens leave, where a pass of several positions costs less than several passes', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: 1, max: 40 }),
        (a, b, numTokens) => {
          const [few, many] = [Math.min(a, b), Math.max(a, b)].map((exitShare) =>
            expectedCost(COSTS, { exitShare, numTokens }),
          )
          assert.ok(many.msPerToken <= few.msPerToken + 1e-9)
        },
      ),
    )
  })

  it('refuses a share outside [0, 1]', () => {
    for (const exitShare of [-0.1, 1.1, NaN]) {
      assert.throws(() => expectedCost(COSTS, { exitShare, numTokens: 3 }), { code: 'evaluation.exit-share' })
      const verified = { exitShare: 0.5, numTokens: 3, agreement: exitShare }
      assert.throws(() => expectedCost(COSTS, verified), { code: 'evaluation.agreement' })
    }
  })
})

describe('the cost of a pass', () => {
  it('is what was measured there, linear between and beyond, and never falls beyond', () => {
    const at = (positions: number) => passCost(COSTS.deep, positions)
    assert.deepEqual([1, 2, 3, 4, 6].map(at), [5, 6, 7.5, 9, 12])
    const falling = [
      { positions: 1, ms: 5 },
      { positions: 2, ms: 4 },
    ]
    assert.deepEqual([passCost(falling, 2), passCost(falling, 100)], [4, 4])
    assert.equal(passCost([{ positions: 1, ms: 5 }], 7), 5)
  })
})
