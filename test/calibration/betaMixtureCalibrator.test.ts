// The calibrator around the mixture: every branch with its code, and the failures known of the released estimator.
import assert from 'node:assert/strict'
import type { Evidence } from '../../src/calibration/index.js'
import { betaMixture, calibratorFromJSON, fixed } from '../../src/calibration/index.js'
import type { BetaMixtureOptionsInput } from '../../src/config/index.js'
import { ShallowDeepError } from '../../src/errors.js'
import { Random } from '../../src/random.js'
import type { GoldenMixtures } from './golden.js'
import { assertNear, readGolden } from './golden.js'

const golden = readGolden<GoldenMixtures>('beta-mixture')

function goldenEvidence(name: string): Evidence[] {
  const data = [...golden.datasets, ...golden.degenerate].find((each) => each.name === name)
  assert.ok(data, name)
  return data.confidence.map((confidence, i) => ({ confidence, agree: data.agree[i] === 1 }))
}

/** `count` points at even confidences over (from, to), labelled by `agrees`. */
function grid(
  count: number,
  agrees: (confidence: number, index: number) => boolean,
  [from, to] = [0, 1],
): Evidence[] {
  return Array.from({ length: count }, (_, i) => {
    const confidence = from + ((i + 0.5) / count) * (to - from)
    return { confidence, agree: agrees(confidence, i) }
  })
}

function afterObserving(evidence: readonly Evidence[], options: BetaMixtureOptionsInput = {}) {
  const calibrator = betaMixture(options)
  calibrator.observe(evidence)
  const { diagnostics } = calibrator
  assert.equal(diagnostics.threshold, calibrator.threshold)
  assert.ok(!diagnostics.message.includes('\n') && !diagnostics.message.includes('NaN'))
  return diagnostics
}

function agreementAbove(evidence: readonly Evidence[], threshold: number): number {
  const above = evidence.filter(({ confidence }) => confidence > threshold)
  return above.filter(({ agree }) => agree).length / above.length
}

describe('beta-mixture calibrator, branches', () => {
  it('has the defaults of the method: w 0.2, zeta 0.4, range [0.3, 0.9], and of its guards', () => {
    assert.deepEqual(betaMixture().toJSON()['options'], {
      zeta: 0.4,
      low: 0.3,
      high: 0.9,
      prior: 'equal',
      labelWeight: 0.2,
      iterations: 10,
      windowSize: 4096,
      minEvidence: 20,
      plentifulEvidence: 512,
      observeEvery: 8,
      initialThreshold: 0.9,
      minAgreement: 0.75,
    })
  })

  it('no evidence: the initial threshold, a stated code, no error', () => {
    for (const diagnostics of [betaMixture().diagnostics, afterObserving([])]) {
      assert.equal(diagnostics.code, 'calibration.no-evidence')
      assert.equal(diagnostics.threshold, 0.9)
      assert.equal(diagnostics.agreement, null)
      assert.equal(diagnostics.labelCheck, null)
    }
    assert.equal(betaMixture({ initialThreshold: 0.55 }).threshold, 0.55)
  })

  it('less than minEvidence: the initial threshold; from minEvidence on the evidence decides', () => {
    const evidence = grid(20, () => true, [0.4, 1])
    const few = afterObserving(evidence.slice(1))
    assert.equal(few.code, 'calibration.too-little-evidence')
    assert.equal(few.threshold, 0.9)
    assert.equal(few.evidenceCount, 19)
    assert.equal(few.agreement, 1)
    assert.equal(afterObserving(evidence).code, 'calibration.everything-agrees')
    assert.equal(
      afterObserving(evidence.slice(0, 1), { minEvidence: 1 }).code,
      'calibration.everything-agrees',
    )
  })

  it('everything agrees: the low end of the range', () => {
    const diagnostics = afterObserving(grid(100, () => true))
    assert.equal(diagnostics.code, 'calibration.everything-agrees')
    assert.equal(diagnostics.threshold, 0.3)
    assert.equal(diagnostics.mixture, null)
    assert.deepEqual(diagnostics.labelCheck, {
      code: 'calibration.labels-kept',
      evidenceCount: 70,
      agreement: 1,
    })
    assert.equal(
      afterObserving(
        grid(100, () => true),
        { low: 0.1 },
      ).threshold,
      0.1,
    )
  })

  it('everything agrees, but too few points lie above the low end: never exit', () => {
    const diagnostics = afterObserving(grid(100, () => true, [0, 0.3]))
    assert.equal(diagnostics.code, 'calibration.everything-agrees')
    assert.equal(diagnostics.threshold, 1)
    assert.equal(diagnostics.labelCheck?.code, 'calibration.labels-refused')
  })

  it('nothing agrees: never exit', () => {
    const diagnostics = afterObserving(grid(100, () => false))
    assert.equal(diagnostics.code, 'calibration.nothing-agrees')
    assert.equal(diagnostics.threshold, 1)
    assert.equal(diagnostics.labelCheck, null)
  })

  it('zero variance: no mixture, the labels alone decide', () => {
    const constant = (numAgree: number) => grid(40, (_, i) => i < numAgree, [0.6, 0.6])
    const good = afterObserving(constant(30))
    assert.equal(good.code, 'calibration.zero-variance')
    assert.equal(good.mixture, null)
    assert.equal(good.threshold, 0.3)
    const bad = afterObserving(constant(29))
    assert.equal(bad.code, 'calibration.zero-variance')
    assert.equal(bad.proposedThreshold, 0.3)
    assert.equal(bad.threshold, 1)
    assert.equal(bad.labelCheck?.code, 'calibration.labels-refused')
  })

  it('a component without mass: no mixture, the labels alone decide', () => {
    // Without labels, step after step the outlier at 0.25 draws the first component in, until nothing is left of it.
    const evidence = [0.25, 0.89, 0.83, 1].map((confidence, i) => ({ confidence, agree: i > 0 }))
    const diagnostics = afterObserving(evidence, { labelWeight: 0, iterations: 5000, minEvidence: 1 })
    assert.equal(diagnostics.code, 'calibration.component-without-mass')
    assert.equal(diagnostics.mixture, null)
    assert.equal(diagnostics.threshold, 0.3)
    assert.deepEqual(diagnostics.labelCheck, {
      code: 'calibration.labels-kept',
      evidenceCount: 3,
      agreement: 1,
    })
  })

  it('posterior below zeta at the high end: never exit', () => {
    const diagnostics = afterObserving(goldenEvidence('labels-reversed'))
    assert.equal(diagnostics.code, 'calibration.never-confident')
    assert.equal(diagnostics.threshold, 1)
    assert.equal(diagnostics.labelCheck, null)
    assert.ok(diagnostics.mixture)
  })

  it('fitted, labels kept: the threshold of the vectors, with the mixture in the diagnostics', () => {
    const fit = golden.fits.find(
      (each) => each.dataset === 'separated' && each.labelWeight === 0.2 && each.iterations === 10,
    )
    assert.ok(fit && fit.thresholdEqualPrior !== null && fit.thresholdMixturePrior !== null)
    const diagnostics = afterObserving(goldenEvidence('separated'))
    assert.equal(diagnostics.code, 'calibration.fitted')
    assert.equal(diagnostics.labelCheck?.code, 'calibration.labels-kept')
    assertNear(diagnostics.threshold, fit.thresholdEqualPrior, 1e-5, 'threshold')
    assert.equal(diagnostics.proposedThreshold, diagnostics.threshold)
    assertNear(diagnostics.mixture?.alpha[1] ?? NaN, fit.end.alpha[1], 1e-6, 'alpha')
    assertNear(diagnostics.logLikelihood ?? NaN, fit.end.logLikelihood, 1e-7, 'log likelihood')
    assert.equal(diagnostics.evidenceCount, 200)
    const empirical = afterObserving(goldenEvidence('separated'), { prior: 'empirical' })
    assertNear(empirical.threshold, fit.thresholdMixturePrior, 1e-5, 'threshold, empirical prior')
  })

  it('fitted, labels raise: the smallest threshold with enough agreement above it', () => {
    const evidence = goldenEvidence('overlapping')
    const diagnostics = afterObserving(evidence)
    assert.equal(diagnostics.code, 'calibration.fitted')
    assert.equal(diagnostics.labelCheck?.code, 'calibration.labels-raised')
    assert.ok(diagnostics.threshold > diagnostics.proposedThreshold && diagnostics.threshold < 1)
    assert.ok(agreementAbove(evidence, diagnostics.proposedThreshold) < 0.75)
    assert.ok(agreementAbove(evidence, diagnostics.threshold) >= 0.75)
    assert.equal(diagnostics.labelCheck.agreement, agreementAbove(evidence, diagnostics.threshold))
  })

  it('fitted, labels refuse: never exit', () => {
    const diagnostics = afterObserving(goldenEvidence('overlapping'), { minAgreement: 1 })
    assert.equal(diagnostics.code, 'calibration.fitted')
    assert.equal(diagnostics.labelCheck?.code, 'calibration.labels-refused')
    assert.ok(diagnostics.proposedThreshold < 1)
    assert.equal(diagnostics.threshold, 1)
  })

  it('the range is an option', () => {
    const evidence = goldenEvidence('separated')
    assert.equal(afterObserving(evidence, { low: 0.6 }).threshold, 0.6)
    const wide = afterObserving(evidence, { low: 0, high: 1, minAgreement: 0 }).threshold
    assertNear(wide, afterObserving(evidence).threshold, 1e-9, 'the crossing does not depend on the range')
  })

  it('old evidence leaves the window', () => {
    const calibrator = betaMixture({ windowSize: 50 })
    calibrator.observe(grid(50, () => false))
    assert.equal(calibrator.threshold, 1)
    calibrator.observe(grid(50, () => true))
    assert.equal(calibrator.diagnostics.code, 'calibration.everything-agrees')
    assert.equal(calibrator.diagnostics.evidenceCount, 50)
  })
})

describe('beta-mixture calibrator, sampling of sequences', () => {
  it('wants every sequence while evidence is scarce, then one in eight, counting the ones it went without', () => {
    const calibrator = betaMixture({ plentifulEvidence: 100, observeEvery: 8 })
    const sequence = grid(10, (c) => c > 0.5)
    const wanted: boolean[] = []
    for (let n = 0; n < 28; n++) {
      wanted.push(calibrator.wantsEvidence(0))
      calibrator.observe(wanted[n] ? sequence : [])
    }
    assert.deepEqual(
      wanted.flatMap((isWanted, n) => (isWanted ? [n] : [])),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 24],
    )
    assert.equal(calibrator.diagnostics.evidenceCount, 120)
  })

  it('answers for sequences ahead as it will when they are next, and goes on where it was saved', () => {
    const calibrator = betaMixture({ plentifulEvidence: 0, observeEvery: 5 })
    const ahead = Array.from({ length: 12 }, (_, n) => calibrator.wantsEvidence(n))
    let current = calibrator
    ahead.forEach((isWanted, n) => {
      assert.equal(current.wantsEvidence(0), isWanted, `sequence ${n}`)
      current.observe([])
      current = calibratorFromJSON(JSON.parse(JSON.stringify(current)))
    })
  })

  it('never wants any for a fixed threshold', () => assert.equal(fixed().wantsEvidence(0), false))
})

describe('beta-mixture calibrator, failures known of the released estimator', () => {
  it('uninformative evidence (half agree at any confidence) does not exit, where the released one answers 0.3', () => {
    assert.equal(afterObserving(grid(400, (_, i) => i % 2 === 0)).threshold, 1)
    for (let seed = 0; seed < 20; seed++) {
      const random = new Random(seed)
      const evidence = grid(400, () => random.uniform() < 0.5)
      assert.equal(afterObserving(evidence).threshold, 1, `seed ${seed}`)
    }
  })

  it('evidence of which none agrees does not exit, where the released one answers 0.3', () => {
    const diagnostics = afterObserving(goldenEvidence('none-agree'), { minEvidence: 1 })
    assert.equal(diagnostics.code, 'calibration.nothing-agrees')
    assert.equal(diagnostics.threshold, 1)
  })

  it('overconfident evidence raises the threshold above 0.9, where the released one sticks', () => {
    // Half of all agree up to 0.96, all of them above it.
    const evidence = grid(400, (c, i) => c > 0.96 || i % 2 === 0, [0.5, 1])
    const { threshold, proposedThreshold } = afterObserving(evidence)
    assert.ok(proposedThreshold < 0.9 && threshold > 0.9 && threshold < 1)
    assert.ok(agreementAbove(evidence, threshold) >= 0.75)
    // Confident throughout, and wrong two times of three.
    assert.equal(afterObserving(grid(400, (_, i) => i % 3 === 0, [0.9, 1])).threshold, 1)
  })

  it('one sample or a constant confidence gives a finite threshold and no infinite parameters', () => {
    for (const name of ['one-point', 'all-one', 'same-confidence', 'all-agree']) {
      for (const labelWeight of [0, 0.2, 1]) {
        const { threshold, mixture } = afterObserving(goldenEvidence(name), { minEvidence: 1, labelWeight })
        assert.equal(threshold, name === 'same-confidence' ? 1 : 0.3, name)
        assert.equal(mixture, null)
      }
    }
    const lone = afterObserving([{ confidence: 0.7, agree: false }], { minEvidence: 1 })
    assert.equal(lone.threshold, 1)
  })

  it('agreement that falls with confidence does not exit, where the released one forgets the labels', () => {
    const random = new Random(3)
    const evidence = grid(400, (c) => random.uniform() > c)
    for (const labelWeight of [0, 0.2, 1]) {
      assert.equal(afterObserving(evidence, { labelWeight }).threshold, 1, `label weight ${labelWeight}`)
    }
  })
})

describe('beta-mixture calibrator, wrong input', () => {
  const good = { confidence: 0.5, agree: true }

  function assertRejects(evidence: unknown, code: string, index: number): void {
    const calibrator = betaMixture({ minEvidence: 1 })
    calibrator.observe([good])
    const before = calibrator.toJSON()
    assert.throws(
      () => calibrator.observe(evidence as Evidence[]),
      (error) => error instanceof ShallowDeepError && error.code === code && error.details['index'] === index,
    )
    assert.deepEqual(calibrator.toJSON(), before)
  }

  it('NaN anywhere is an error and leaves the calibrator as it was', () => {
    assertRejects([good, { confidence: NaN, agree: true }], 'calibration.not-a-number', 1)
    assertRejects([{ confidence: 0.5, agree: NaN }], 'calibration.not-a-number', 0)
  })

  it('a confidence outside [0, 1] is an error', () => {
    for (const confidence of [-0.01, 1.01, Infinity, '0.5', undefined]) {
      assertRejects([good, good, { confidence, agree: true }], 'calibration.confidence-out-of-range', 2)
    }
  })

  it('a label that is neither true nor false is an error', () => {
    assertRejects([{ confidence: 0.5, agree: 1 }], 'calibration.not-a-label', 0)
  })

  it('impossible options are one error with all problems', () => {
    for (const [options, code] of [
      [{ zetta: 0.4 }, 'config.unknown-key'],
      [{ zeta: 0 }, 'config.invalid-value'],
      [{ zeta: 1 }, 'config.invalid-value'],
      [{ low: 0.9, high: 0.3 }, 'config.invalid-value'],
      [{ windowSize: 10 }, 'config.invalid-value'],
      [{ initialThreshold: NaN }, 'config.invalid-value'],
      [{ minAgreement: 1.5, labelWeight: -1 }, 'config.invalid-value'],
    ] as const) {
      assert.throws(
        () => betaMixture(options as BetaMixtureOptionsInput),
        (error) => error instanceof ShallowDeepError && error.code === code,
        JSON.stringify(options),
      )
    }
  })
})
