// The choice of a depth from given measurements: which layer, by what, and the figures of each.
import assert from 'node:assert/strict'
import { parseDepthOptions } from '../../src/config/index.js'
import {
  chooseByMeasurements,
  type DepthMeasurements,
  type ExitObservations,
} from '../../src/evaluation/index.js'

const options = parseDepthOptions({ minAgreement: 0.9, minEvidence: 5, thresholds: [0.5] })

/** 100 positions, the first `numSure` at confidence 0.8, the rest at 0.2; the first `numAgree` agree. */
function observe(numSure: number, numAgree: number): ExitObservations {
  return {
    confidences: Float64Array.from({ length: 100 }, (_, i) => (i < numSure ? 0.8 : 0.2)),
    agree: Uint8Array.from({ length: 100 }, (_, i) => (i < numAgree ? 1 : 0)),
  }
}

/** Four layers of 1 ms, whatever the number of positions. */
const costs = [1, 2, 3].map((layer) => ({ shallowMs: layer, deep: [{ positions: 1, ms: 4 - layer }] }))
const measure = (exits: readonly ExitObservations[]): DepthMeasurements => ({
  exits,
  costs,
  fullMs: 4,
  numSequences: 10,
})

describe('choice of the shallow depth', () => {
  it('takes the layer with the greatest expected speed-up among those whose exits can be trusted', () => {
    // Layer 1 is sure but wrong; layer 2 right at half of the tokens, layer 3 at most of them.
    const choice = chooseByMeasurements(measure([observe(90, 30), observe(50, 60), observe(90, 95)]), options)
    assert.deepEqual([choice.shallowLayers, choice.basis, choice.tokens], [2, 'threshold', 100])
    const [first, second, third] = choice.rows
    assert.deepEqual(
      choice.rows.map(({ threshold, exitShare, exitAgreement }) => [threshold, exitShare, exitAgreement]),
      // Of layer 3, 95 of all 100 agree: no threshold is needed.
      [
        [1, 0, null],
        [0.2, 0.5, 1],
        [0, 1, 0.95],
      ],
    )
    assert.deepEqual(
      choice.rows.map(({ agreement }) => agreement),
      [0.3, 0.6, 0.95],
    )
    assert.deepEqual(second.thresholds, [{ threshold: 0.5, exitShare: 0.5, agreement: 1 }])
    assert.deepEqual(first.thresholds, [{ threshold: 0.5, exitShare: 0.9, agreement: 1 / 3 }])
    // 2 ms, and half of the tokens a pass of 2 ms.
    assert.ok(Math.abs(second.speedup - 4 / 3) < 1e-9)
    assert.ok(Math.abs(third.speedup - 4 / 3) < 1e-9)
    assert.equal(first.speedup, 1)
  })

  it('knows sequences by their mean length: what is pending at an end costs nothing', () => {
    const growing = costs.map((cost) => ({
      ...cost,
      deep: [...cost.deep, { positions: 2, ms: 2 * cost.deep[0].ms }],
    }))
    const msPerToken = (numSequences: number) =>
      chooseByMeasurements({ ...measure([observe(50, 60)]), costs: growing, numSequences }, options).rows[0]
        .cost.msPerToken
    assert.ok(msPerToken(50) < msPerToken(1))
  })

  it('goes by the limits where no threshold makes any layer faster', () => {
    const choice = chooseByMeasurements(measure([observe(90, 30), observe(90, 70), observe(90, 75)]), options)
    assert.equal(choice.basis, 'limit')
    // 30 % at 1 ms: 1 + 0.7 * 3; 70 % at 2 ms: 2 + 0.3 * 2; 75 % at 3 ms: 3 + 0.25.
    assert.equal(choice.shallowLayers, 2)
    assert.ok(Math.abs(choice.rows[1].speedupLimit - 4 / 2.6) < 1e-9)
  })

  it('goes by the limits, too, where tokens leave but their passes cost more than full decoding', () => {
    const exits = [observe(50, 60), observe(50, 60), observe(90, 95)]
    const choice = chooseByMeasurements({ ...measure(exits), fullMs: 1 }, options)
    assert.ok(choice.rows.every(({ exitShare, speedup }) => exitShare > 0 && speedup < 1))
    assert.equal(choice.basis, 'limit')
  })

  it('takes no layer for faster at which nothing leaves, however its passes were timed', () => {
    const noisy = costs.map((cost, i) =>
      i === 0 ? { shallowMs: 0.1, deep: [{ positions: 1, ms: 2 }] } : cost,
    )
    const exits = [observe(90, 30), observe(50, 60), observe(90, 30)]
    const choice = chooseByMeasurements({ ...measure(exits), costs: noisy }, options)
    assert.ok(choice.rows[0].speedup > choice.rows[1].speedup)
    assert.equal(choice.rows[0].exitShare, 0)
    const nowhere = exits.map(() => observe(90, 30))
    assert.equal(chooseByMeasurements({ ...measure(nowhere), costs: noisy }, options).basis, 'limit')
    assert.deepEqual([choice.shallowLayers, choice.basis], [2, 'threshold'])
  })

  it('counts an agreement only over enough tokens', () => {
    const few = parseDepthOptions({ minAgreement: 0.9, minEvidence: 60, thresholds: [] })
    const { rows } = chooseByMeasurements(measure([observe(50, 60)]), few)
    assert.deepEqual([rows[0].threshold, rows[0].exitShare], [1, 0])
  })
})
