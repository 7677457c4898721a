// Special functions against scipy. Tolerances are those of the vectors' own errors against 40-digit arithmetic.
import assert from 'node:assert/strict'
import { betaPdf, logBeta, logBetaPdf, logGamma } from '../../src/calibration/index.js'
import type { GoldenSpecial } from './golden.js'
import { assertNear, assertRelative, readGolden } from './golden.js'

describe('special functions', () => {
  const golden = readGolden<GoldenSpecial>('special')

  it('log gamma equals scipy (142 points)', () => {
    assert.equal(golden.unary.length, 142)
    for (const [x, expected] of golden.unary) assertNear(logGamma(x), expected, 1e-12, `logGamma(${x})`)
  })

  it('log beta equals scipy and is symmetric (144 points)', () => {
    assert.equal(golden.logBeta.length, 144)
    for (const [a, b, expected] of golden.logBeta) {
      assertNear(logBeta(a, b), expected, 1e-10, `logBeta(${a}, ${b})`)
      assert.equal(logBeta(b, a), logBeta(a, b))
    }
  })

  it('Beta density and its logarithm equal scipy (2160 points)', () => {
    assert.equal(golden.beta.length, 2160)
    for (const [a, b, x, pdf, logpdf] of golden.beta) {
      assertNear(logBetaPdf(x, a, b), logpdf, 1e-10, `logBetaPdf(${x}, ${a}, ${b})`)
      // Densities below the normal range have lost digits in both libraries.
      if (pdf > 1e-300) assertRelative(betaPdf(x, a, b), pdf, 1e-9, `betaPdf(${x}, ${a}, ${b})`)
      else assert.ok(betaPdf(x, a, b) <= 1e-299)
    }
  })

  it('log beta keeps its digits where both arguments are huge: B(a, b) = B(a + 1, b) (a + b) / a', () => {
    for (const [a, b] of [
      [3e6, 5e6],
      [2.5, 4e9],
      [1e11, 9e10],
    ]) {
      // The identity compares numbers of size up to 1e11, of which a double keeps 1e-16.
      const tolerance = 1e-15 * (a + b) + 1e-12
      assert.ok(Math.abs(logBeta(a, b) - logBeta(a + 1, b) - Math.log1p(b / a)) <= tolerance)
    }
  })

  it('the density is finite or infinite, never NaN, at the ends', () => {
    assertNear(betaPdf(0, 1, 2), 2, 1e-14, 'at 0')
    assertNear(betaPdf(1, 2, 1), 2, 1e-14, 'at 1')
    assert.equal(betaPdf(0, 2, 1), 0)
    assert.equal(betaPdf(0, 0.5, 1), Infinity)
  })
})
