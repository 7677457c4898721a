// The label check against its definition, tried on every candidate.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { raiseToAgreement } from '../../src/calibration/index.js'
import { runs } from './arbitraries.js'

interface Point {
  readonly confidence: number
  readonly agree: number
}

interface Options {
  readonly from: number
  readonly minAgreement: number
  readonly minEvidence: number
}

function check(points: readonly Point[], options: Options) {
  return raiseToAgreement(
    Float64Array.from(points, ({ confidence }) => confidence),
    Uint8Array.from(points, ({ agree }) => agree),
    options,
  )
}

/** The definition, word for word. */
function checkSlowly(points: readonly Point[], { from, minAgreement, minEvidence }: Options) {
  const candidates = [from, ...points.map(({ confidence }) => confidence)].filter((t) => t >= from)
  for (const threshold of candidates.sort((a, b) => a - b)) {
    const above = points.filter(({ confidence }) => confidence > threshold)
    const agreement = above.filter(({ agree }) => agree === 1).length / above.length
    if (above.length >= minEvidence && agreement >= minAgreement) {
      return { threshold, evidenceCount: above.length, agreement }
    }
  }
  return { threshold: 1, evidenceCount: 0, agreement: null }
}

describe('label check', () => {
  it('answers the smallest threshold that its definition allows', () => {
    // Few different confidences, so that ties are common.
    const point = fc.record({
      confidence: fc.integer({ min: 0, max: 20 }).map((i) => i / 20),
      agree: fc.nat(1),
    })
    fc.assert(
      fc.property(
        fc.array(point, { maxLength: 60 }),
        fc.record({
          from: fc.integer({ min: 0, max: 40 }).map((i) => i / 40),
          minAgreement: fc.constantFrom(0, 0.5, 0.6, 0.7, 0.75, 0.9, 1),
          minEvidence: fc.integer({ min: 1, max: 12 }),
        }),
        (points, options) => assert.deepEqual(check(points, options), checkSlowly(points, options)),
      ),
      runs(2000),
    )
  })

  it('compares as the decoder does: a point at the threshold is not above it', () => {
    const points = [0.5, 0.5, 0.8, 0.8].map((confidence, i) => ({ confidence, agree: i < 2 ? 0 : 1 }))
    assert.deepEqual(check(points, { from: 0.3, minAgreement: 0.75, minEvidence: 2 }), {
      threshold: 0.5,
      evidenceCount: 2,
      agreement: 1,
    })
  })

  it('takes an agreement that is exactly the one asked for', () => {
    const points = Array.from({ length: 10 }, (_, i) => ({ confidence: 0.6, agree: i < 7 ? 1 : 0 }))
    assert.equal(check(points, { from: 0.3, minAgreement: 0.7, minEvidence: 10 }).threshold, 0.3)
  })
})
