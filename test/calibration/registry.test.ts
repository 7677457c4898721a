// Calibrators by name, the fixed one, and what a damaged saved calibrator says.
import assert from 'node:assert/strict'
import {
  betaMixture,
  calibratorFromJSON,
  calibratorNames,
  createCalibrator,
  fixed,
} from '../../src/calibration/index.js'
import { ShallowDeepError } from '../../src/errors.js'

function hasCode(code: string) {
  return (error: unknown) => error instanceof ShallowDeepError && error.code === code
}

describe('calibrator registry', () => {
  it('makes and restores every calibrator by its name', () => {
    assert.deepEqual(calibratorNames, ['fixed', 'beta-mixture'])
    for (const name of calibratorNames) {
      const calibrator = createCalibrator(name)
      assert.equal(calibrator.name, name)
      assert.equal(calibrator.threshold, 0.9)
      calibrator.observe([{ confidence: 0.5, agree: true }])
      const restored = calibratorFromJSON(JSON.parse(JSON.stringify(calibrator)))
      assert.equal(restored.name, name)
      assert.deepEqual(restored.diagnostics, calibrator.diagnostics)
      assert.deepEqual(restored.toJSON(), calibrator.toJSON())
    }
  })

  it('passes options on and names where bad ones came from', () => {
    assert.equal(createCalibrator('beta-mixture', { initialThreshold: 0.4 }).threshold, 0.4)
    assert.throws(
      () => createCalibrator('fixed', { treshold: 0.4 }, 'run.yaml'),
      /^.*run\.yaml.*did you mean threshold/,
    )
  })

  it('an unknown name is an error with the near miss', () => {
    for (const make of [
      () => createCalibrator('beta-mixtures'),
      () => calibratorFromJSON({ version: 1, name: 'beta-mixtures' }),
    ]) {
      assert.throws(
        make,
        (error) =>
          hasCode('calibration.unknown-calibrator')(error) &&
          (error as ShallowDeepError).hint === 'did you mean beta-mixture?',
      )
    }
    // Names of Object's own are no calibrators.
    assert.throws(() => createCalibrator('toString'), hasCode('calibration.unknown-calibrator'))
    for (const json of [null, 3, {}, { name: 3 }]) {
      assert.throws(() => calibratorFromJSON(json), hasCode('calibration.unknown-calibrator'))
    }
  })

  it('a damaged saved calibrator is an error', () => {
    const json = betaMixture().toJSON()
    assert.throws(() => calibratorFromJSON({ ...json, version: 2 }), hasCode('config.invalid-value'))
    assert.throws(() => calibratorFromJSON({ ...json, more: 1 }), hasCode('config.unknown-key'))
    assert.throws(() => calibratorFromJSON({ ...json, options: { low: 2 } }), hasCode('config.invalid-value'))
    assert.throws(
      () => calibratorFromJSON({ ...fixed().toJSON(), evidenceCount: 1, numAgree: 2 }),
      hasCode('config.invalid-value'),
    )
  })
})

describe('fixed calibrator', () => {
  it('keeps its threshold whatever the evidence, and counts it', () => {
    const calibrator = fixed({ threshold: 0.6 })
    assert.equal(calibrator.isAdaptive, false)
    calibrator.observe([
      { confidence: 0.9, agree: false },
      { confidence: 0.95, agree: false },
      { confidence: 0.2, agree: true },
      { confidence: 0.1, agree: false },
    ])
    assert.equal(calibrator.threshold, 0.6)
    assert.equal(calibrator.diagnostics.code, 'calibration.fixed')
    assert.equal(calibrator.diagnostics.evidenceCount, 4)
    assert.equal(calibrator.diagnostics.agreement, 0.25)
  })

  it('NaN is an error here too', () => {
    assert.throws(
      () => fixed().observe([{ confidence: NaN, agree: true }]),
      hasCode('calibration.not-a-number'),
    )
  })

  it('a threshold outside [0, 1] is an error', () => {
    for (const threshold of [-0.1, 1.1, NaN]) {
      assert.throws(() => fixed({ threshold }), hasCode('config.invalid-value'))
    }
  })
})
