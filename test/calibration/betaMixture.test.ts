// The mixture as pure functions: the 54 fits of the vectors, the degenerate data, and the threshold search.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { BetaMixture } from '../../src/calibration/index.js'
import {
  findThreshold,
  fitMixture,
  mixtureLogLikelihood,
  posteriorAgree,
  prepareEvidence,
  START_MIXTURE,
  stepMixture,
} from '../../src/calibration/index.js'
import { runs } from './arbitraries.js'
import type { GoldenFit, GoldenMixtures, GoldenState } from './golden.js'
import { assertNear, assertRelative, readGolden } from './golden.js'

const golden = readGolden<GoldenMixtures>('beta-mixture')
const range = { zeta: golden.zeta, low: golden.low, high: golden.high }

function evidenceOf(name: string) {
  const data = golden.datasets.find((each) => each.name === name)
  assert.ok(data, name)
  return prepareEvidence(data.confidence, data.agree)
}

function assertState(mixture: BetaMixture, expected: GoldenState, tolerance: number, what: string): void {
  for (const k of [0, 1]) {
    assertRelative(mixture.alpha[k], expected.alpha[k], tolerance, `${what} alpha ${k}`)
    assertRelative(mixture.beta[k], expected.beta[k], tolerance, `${what} beta ${k}`)
    assertNear(mixture.weight[k], expected.weight[k], 1e-6, `${what} weight ${k}`)
  }
}

function fitOf({ dataset, labelWeight, iterations }: GoldenFit): BetaMixture {
  const { mixture } = fitMixture(evidenceOf(dataset), { labelWeight, iterations })
  assert.ok(mixture)
  return mixture
}

function nameOf(fit: GoldenFit): string {
  return `${fit.dataset}, label weight ${fit.labelWeight}, ${fit.iterations} iterations`
}

describe('beta mixture', () => {
  it('the vectors are all here', () => {
    assert.equal(golden.fits.length, 54)
    assert.equal(golden.datasets.length, 9)
    assert.equal(golden.degenerate.length, 6)
  })

  for (const fit of golden.fits) {
    it(`equals the reference fit: ${nameOf(fit)}`, () => {
      const evidence = evidenceOf(fit.dataset)
      assertState(START_MIXTURE, fit.start, 0, 'start')
      assertNear(mixtureLogLikelihood(START_MIXTURE, evidence), fit.start.logLikelihood, 1e-7, 'start')
      let mixture: BetaMixture = START_MIXTURE
      fit.first.forEach((expected, i) => {
        const step = stepMixture(mixture, evidence, fit.labelWeight)
        assert.ok(step.mixture)
        mixture = step.mixture
        assertState(mixture, expected, 1e-6, `step ${i + 1}`)
        assertNear(mixtureLogLikelihood(mixture, evidence), expected.logLikelihood, 1e-7, `step ${i + 1}`)
      })
      const end = fitOf(fit)
      // Rounding grows from step to step.
      assertState(end, fit.end, fit.iterations === 10 ? 1e-6 : 1e-5, 'end')
      assertNear(mixtureLogLikelihood(end, evidence), fit.end.logLikelihood, 1e-7, 'end')
      for (let i = 0; i <= 100; i++) {
        const c = i / 100
        assertNear(posteriorAgree(end, c, 'equal'), fit.posteriorEqualPrior[i], 1e-6, `at ${c}`)
        assertNear(posteriorAgree(end, c, 'empirical'), fit.posteriorMixturePrior[i], 1e-6, `at ${c}`)
      }
      for (const [prior, expected] of [
        ['equal', fit.thresholdEqualPrior],
        ['empirical', fit.thresholdMixturePrior],
      ] as const) {
        const found = findThreshold(end, { ...range, prior })
        if (expected === null || found === null) assert.equal(found, expected)
        else assertNear(found, expected, 1e-5, `threshold, ${prior} prior`)
      }
    })
  }

  it('the vectors have thresholds inside the range, at its low end, and none at all', () => {
    const found = golden.fits.map((fit) => fit.thresholdEqualPrior)
    assert.ok(found.includes(null) && found.includes(0.3) && found.some((t) => t !== null && t > 0.3))
  })

  it('degenerate data gives a mixture of finite positive numbers or a stated failure, never NaN', () => {
    const failures = golden.degenerate.flatMap(({ name, confidence, agree }) =>
      [0, 0.2, 1].map((labelWeight) => {
        const { mixture, failure } = fitMixture(prepareEvidence(confidence, agree), {
          labelWeight,
          iterations: 10,
        })
        for (const value of mixture ? [...mixture.alpha, ...mixture.beta] : []) {
          assert.ok(Number.isFinite(value) && value > 0)
        }
        return [name, labelWeight, failure]
      }),
    )
    assert.deepEqual(failures, [
      ['all-agree', 0, null],
      ['all-agree', 0.2, null],
      ['all-agree', 1, 'component-without-mass'],
      ['none-agree', 0, null],
      ['none-agree', 0.2, null],
      ['none-agree', 1, 'component-without-mass'],
      ['same-confidence', 0, 'zero-variance'],
      ['same-confidence', 0.2, 'zero-variance'],
      ['same-confidence', 1, 'zero-variance'],
      ['all-one', 0, 'zero-variance'],
      ['all-one', 0.2, 'zero-variance'],
      ['all-one', 1, 'zero-variance'],
      ['one-point', 0, 'zero-variance'],
      ['one-point', 0.2, 'zero-variance'],
      ['one-point', 1, 'component-without-mass'],
      ['empty', 0, 'no-evidence'],
      ['empty', 0.2, 'no-evidence'],
      ['empty', 1, 'no-evidence'],
    ])
  })

  it('with label weight 1 the fit is final after one step', () => {
    const evidence = evidenceOf('overlapping')
    assert.deepEqual(
      fitMixture(evidence, { labelWeight: 1, iterations: 1 }),
      fitMixture(evidence, { labelWeight: 1, iterations: 25 }),
    )
  })
})

describe('threshold search', () => {
  const shape = fc.double({ min: 0.05, max: 60, noNaN: true })
  const mixtures = fc.record({
    alpha: fc.tuple(shape, shape),
    beta: fc.tuple(shape, shape),
    weight: fc.double({ min: 0.01, max: 0.99, noNaN: true }).map((w): [number, number] => [1 - w, w]),
  })
  const options = fc.record({
    zeta: fc.double({ min: 0.01, max: 0.99, noNaN: true }),
    range: fc
      .tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true }))
      .map(([a, b]) => ({ low: Math.min(a, b), high: Math.max(a, b) })),
    prior: fc.constantFrom('equal' as const, 'empirical' as const),
  })

  it('the posterior holds on all of [t, high] and on no longer interval (a fine grid as judge)', () => {
    fc.assert(
      fc.property(mixtures, options, (mixture, { zeta, range: { low, high }, prior }) => {
        const posterior = (c: number) => posteriorAgree(mixture, c, prior)
        const found = findThreshold(mixture, { zeta, low, high, prior })
        if (found === null) {
          assert.ok(posterior(high) < zeta + 1e-9)
          return
        }
        assert.ok(found >= low && found <= high)
        for (let i = 0; i <= 400; i++) {
          assert.ok(posterior(found + ((high - found) * i) / 400) >= zeta - 1e-9)
        }
        // Just below a threshold inside the range it fails (clamped confidences all have one posterior).
        if (found > Math.max(low, 1e-4)) assert.ok(posterior(found * (1 - 1e-12)) <= zeta + 1e-9)
      }),
      runs(500),
    )
  })

  it('finds the upper of two crossings, and a failing dip that a coarse table would step over', () => {
    // Agree is bimodal (alpha, beta < 1), disagree a narrow peak at 0.6: the posterior dips below zeta around 0.6 only.
    const dip: BetaMixture = { alpha: [600, 0.9], beta: [400, 0.9], weight: [0.5, 0.5] }
    const found = findThreshold(dip, { zeta: 0.4, low: 0.3, high: 0.9, prior: 'equal' })
    assert.ok(found !== null && found > 0.6 && found < 0.66)
    // Both ends of the range hold, so a search from its ends alone would answer 0.3.
    assert.ok(posteriorAgree(dip, 0.3, 'equal') > 0.4)
  })

  it('components that are the same answer the low end, or null above their constant posterior', () => {
    const same: BetaMixture = { alpha: [2, 2], beta: [3, 3], weight: [0.5, 0.5] }
    assert.equal(findThreshold(same, { zeta: 0.4, low: 0.3, high: 0.9, prior: 'equal' }), 0.3)
    assert.equal(findThreshold(same, { zeta: 0.6, low: 0.3, high: 0.9, prior: 'equal' }), null)
  })
})
