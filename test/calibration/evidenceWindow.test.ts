// The evidence window: what it keeps, and its form in JSON.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { EncodedWindow, Evidence } from '../../src/calibration/index.js'
import { EvidenceWindow } from '../../src/calibration/index.js'
import { ShallowDeepError } from '../../src/errors.js'
import { points, runs } from './arbitraries.js'

const singles = points.map(({ confidence, agree }) => ({ confidence: Math.fround(confidence), agree }))

function pointsOf(window: EvidenceWindow): Evidence[] {
  const { confidences, agree } = window.snapshot()
  return Array.from(confidences, (confidence, i) => ({ confidence, agree: agree[i] === 1 }))
}

describe('evidence window', () => {
  it('keeps the newest points in order, and counts the agreeing ones', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(points, { maxLength: 9 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 20 }),
        (sequences, capacity) => {
          const window = new EvidenceWindow(capacity)
          for (const sequence of sequences) window.push(sequence)
          const expected = sequences.flat().slice(-capacity)
          assert.deepEqual(pointsOf(window), expected)
          assert.equal(window.count, expected.length)
          assert.equal(window.numAgree, expected.filter(({ agree }) => agree).length)
        },
      ),
      runs(200),
    )
  })

  it('JSON and back gives the same points to the last bit, single or double precision', () => {
    for (const [sequence, encoding] of [
      [fc.array(singles, { minLength: 1, maxLength: 40 }), 'float32'],
      [fc.tuple(fc.constant({ confidence: 0.1, agree: true }), points), 'float64'],
    ] as const) {
      fc.assert(
        fc.property(sequence, fc.integer({ min: 1, max: 40 }), (all: readonly Evidence[], capacity) => {
          const window = new EvidenceWindow(capacity)
          window.push(all)
          const json = JSON.parse(JSON.stringify(window)) as EncodedWindow
          if (capacity >= all.length) assert.equal(json.encoding, encoding)
          const restored = EvidenceWindow.fromJSON(json, capacity)
          assert.deepEqual(pointsOf(restored), pointsOf(window))
          assert.equal(restored.numAgree, window.numAgree)
        }),
        runs(100),
      )
    }
  })

  it('a full window of single-precision points takes under 24 kB', () => {
    const window = new EvidenceWindow(4096)
    window.push(Array.from({ length: 4096 }, (_, i) => ({ confidence: i / 4096, agree: i % 3 > 0 })))
    assert.ok(JSON.stringify(window).length < 24_000)
  })

  it('a damaged saved window is refused', () => {
    const window = new EvidenceWindow(8)
    window.push([
      { confidence: 0.25, agree: true },
      { confidence: 0.5, agree: false },
    ])
    const json = window.toJSON()
    const notANumber = btoa(String.fromCharCode(0, 0, 192, 127, 0, 0, 192, 127))
    for (const [broken, capacity] of [
      [json, 1],
      [{ ...json, count: 3 }, 8],
      [{ ...json, agree: btoa('abc') }, 8],
      [{ ...json, encoding: 'float64' }, 8],
      [{ ...json, confidences: notANumber }, 8],
    ] as const) {
      assert.throws(
        () => EvidenceWindow.fromJSON(broken, capacity),
        (error) => error instanceof ShallowDeepError && error.code === 'calibration.damaged-window',
      )
    }
  })
})
