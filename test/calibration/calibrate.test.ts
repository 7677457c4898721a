// Offline calibration: the saved object, what it restores to, and the numbers of its plot.
import assert from 'node:assert/strict'
import type { Evidence } from '../../src/calibration/index.js'
import {
  betaMixture,
  calibrate,
  calibratorOf,
  confidenceHistogram,
  parseCalibration,
} from '../../src/calibration/index.js'
import { ShallowDeepError } from '../../src/errors.js'
import { Random } from '../../src/random.js'

function draw(count: number, seed: number): Evidence[] {
  const random = new Random(seed)
  return Array.from({ length: count }, () => {
    const confidence = random.uniform()
    return { confidence, agree: random.uniform() < Math.sqrt(confidence) }
  })
}

describe('offline calibration', () => {
  const evidence = draw(1000, 1)
  const calibration = calibrate(evidence, { shallowLayers: 2, options: { zeta: 0.5 } })

  it('holds the threshold of the online calibrator and all that explains it', () => {
    const online = betaMixture({ zeta: 0.5 })
    online.observe(evidence)
    assert.equal(calibration.threshold, online.threshold)
    assert.deepEqual(calibration.diagnostics, online.diagnostics)
    assert.equal(calibration.calibrator, 'beta-mixture')
    assert.equal(calibration.options['zeta'], 0.5)
    assert.equal(calibration.options['minAgreement'], 0.75)
    assert.equal(calibration.shallowLayers, 2)
    assert.equal(calibration.confidence, 'top2-gap')
    assert.equal(calibration.evidenceCount, 1000)
    assert.equal(calibration.agreement, evidence.filter(({ agree }) => agree).length / 1000)
  })

  it('survives JSON', () => {
    const json: unknown = JSON.parse(JSON.stringify(calibration))
    assert.deepEqual(parseCalibration(json, 'calibration.json'), calibration)
  })

  it('serves unchanged, or goes on from its evidence', () => {
    const more = draw(500, 2).map(({ confidence }) => ({ confidence, agree: false }))
    const calibrated = calibratorOf(calibration, 'calibrated')
    const adaptive = calibratorOf(calibration, 'adaptive')
    assert.equal(calibrated.threshold, calibration.threshold)
    assert.equal(adaptive.threshold, calibration.threshold)
    for (const calibrator of [calibrated, adaptive]) calibrator.observe(more)
    assert.equal(calibrated.threshold, calibration.threshold)
    assert.equal(adaptive.diagnostics.evidenceCount, 1500)
    assert.ok(adaptive.threshold > calibration.threshold)
  })

  it('more evidence than the window: all of it in the counts, the newest in the fit', () => {
    const { evidenceCount, diagnostics, histogram } = calibrate(evidence, {
      shallowLayers: 2,
      options: { windowSize: 300 },
    })
    assert.equal(evidenceCount, 1000)
    assert.equal(diagnostics.evidenceCount, 300)
    assert.equal(
      [...histogram.agree, ...histogram.disagree].reduce((a, b) => a + b),
      1000,
    )
  })

  it('degenerate evidence is a stated code, not an error, and has no densities', () => {
    const empty = calibrate([], { shallowLayers: 1 })
    assert.equal(empty.diagnostics.code, 'calibration.no-evidence')
    assert.equal(empty.agreement, null)
    assert.equal(empty.densities, null)
    const never = calibrate(
      evidence.map(({ confidence }) => ({ confidence, agree: false })),
      { shallowLayers: 1, confidence: 'entropy' },
    )
    assert.equal(never.diagnostics.code, 'calibration.nothing-agrees')
    assert.equal(never.threshold, 1)
    assert.equal(never.confidence, 'entropy')
  })

  it('takes other calibrators, and says which ones there are', () => {
    assert.equal(
      calibrate(evidence, { shallowLayers: 1, calibrator: 'fixed', options: { threshold: 0.4 } }).threshold,
      0.4,
    )
    assert.throws(
      () => calibrate(evidence, { shallowLayers: 1, calibrator: 'fixd' }),
      (error) => error instanceof ShallowDeepError && error.code === 'calibration.unknown-calibrator',
    )
  })

  it('NaN and damaged files are errors', () => {
    assert.throws(
      () => calibrate([{ confidence: NaN, agree: true }], { shallowLayers: 1 }),
      (error) => error instanceof ShallowDeepError && error.code === 'calibration.not-a-number',
    )
    assert.throws(
      () => parseCalibration({ ...calibration, threshold: 2, shallowLayers: 0 }, 'calibration.json'),
      (error) =>
        error instanceof ShallowDeepError &&
        error.code === 'config.invalid-value' &&
        error.message.startsWith('calibration.json: threshold') &&
        error.message.includes('shallowLayers'),
    )
  })

  it('the densities integrate to one and the weights to one', () => {
    const { densities } = calibration
    assert.ok(densities)
    for (const curve of [densities.agree, densities.disagree]) {
      let area = 0
      for (let i = 1; i < curve.length; i++) {
        area += ((curve[i] + curve[i - 1]) / 2) * (densities.confidence[i] - densities.confidence[i - 1])
      }
      // Trapezoids of a curve that is steep near its ends.
      assert.ok(Math.abs(area - 1) < 0.02, String(area))
    }
    assert.ok(Math.abs(densities.weight[0] + densities.weight[1] - 1) < 1e-12)
  })

  it('histogram bins are closed below, the last one also above', () => {
    const at = (confidence: number, agree: boolean) => ({ confidence, agree })
    const { agree, disagree } = confidenceHistogram(
      [at(0, true), at(0.25, true), at(0.5, false), at(0.99, true), at(1, true)],
      4,
    )
    assert.deepEqual(agree, [1, 1, 0, 2])
    assert.deepEqual(disagree, [0, 0, 1, 0])
  })
})
