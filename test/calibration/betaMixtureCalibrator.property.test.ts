// Laws of the adaptive calibrator over random evidence and options, and its speed.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Evidence } from '../../src/calibration/index.js'
import { betaMixture, calibratorFromJSON } from '../../src/calibration/index.js'
import type { BetaMixtureOptionsInput } from '../../src/config/index.js'
import { evidenceOf, mixtureOptions, runs } from './arbitraries.js'

const sequences = fc.array(evidenceOf(40), { maxLength: 4 })

function afterObserving(all: readonly Evidence[][], options: BetaMixtureOptionsInput) {
  const calibrator = betaMixture(options)
  for (const evidence of all) calibrator.observe(evidence)
  return calibrator
}

function assertNoNaN(value: unknown): void {
  if (typeof value === 'number') assert.ok(Number.isFinite(value))
  else if (value && typeof value === 'object') Object.values(value).forEach(assertNoNaN)
}

describe('beta-mixture calibrator, laws', () => {
  it('the threshold is the initial one below minEvidence, then in [low, 1]; no number is NaN or infinite', () => {
    fc.assert(
      fc.property(sequences, mixtureOptions, (all, options) => {
        const { threshold, diagnostics } = afterObserving(all, options)
        assertNoNaN(diagnostics)
        if (all.flat().length < options.minEvidence) assert.equal(threshold, options.initialThreshold)
        else assert.ok(threshold >= options.low && threshold <= 1)
        assert.ok(threshold >= diagnostics.proposedThreshold)
      }),
      runs(2000),
    )
  })

  it('a threshold below 1 has minEvidence points above it, and at least minAgreement of them agree', () => {
    let below = 0
    fc.assert(
      fc.property(sequences, mixtureOptions, (all, options) => {
        const held = all.flat().slice(-options.windowSize)
        const { threshold } = afterObserving(all, options)
        if (held.length < options.minEvidence || threshold === 1) return
        below++
        const above = held.filter(({ confidence }) => confidence > threshold)
        assert.ok(above.length >= options.minEvidence)
        assert.ok(above.filter(({ agree }) => agree).length / above.length >= options.minAgreement)
      }),
      runs(3000),
    )
    assert.ok(below > 500, `the law was put to the test ${below} times`)
  })

  it('the same evidence gives the same threshold, in however many sequences and however often it is read', () => {
    fc.assert(
      fc.property(sequences, mixtureOptions, (all, options) => {
        const calibrator = betaMixture(options)
        for (const evidence of all) {
          calibrator.observe(evidence)
          assert.ok(calibrator.threshold >= 0)
        }
        assert.deepEqual(calibrator.diagnostics, afterObserving([all.flat()], options).diagnostics)
      }),
      runs(300),
    )
  })

  it('saved and restored behaves as not saved, now and after more evidence', () => {
    fc.assert(
      fc.property(sequences, sequences, mixtureOptions, (before, after, options) => {
        const calibrator = afterObserving(before, options)
        const restored = calibratorFromJSON(JSON.parse(JSON.stringify(calibrator)))
        assert.deepEqual(restored.toJSON(), calibrator.toJSON())
        assert.equal(restored.threshold, calibrator.threshold)
        for (const evidence of after) {
          restored.observe(evidence)
          calibrator.observe(evidence)
          assert.equal(restored.threshold, calibrator.threshold)
        }
        assert.deepEqual(restored.toJSON(), calibrator.toJSON())
      }),
      runs(300),
    )
  })
})
