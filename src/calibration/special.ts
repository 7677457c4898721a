// Logarithms of the gamma and beta functions and the density of the Beta distribution, to about 1e-14 of
// max(1, |value|). Stirling's series with Bernoulli numbers (Abramowitz and Stegun 6.1.41), large cancelling terms
// removed by hand, so that narrow Betas (alpha in the millions) stay exact.

/** From here on Stirling's series with eight terms is exact to double precision. */
const STIRLING_FROM = 10
const HALF_LOG_TWO_PI = 0.5 * Math.log(2 * Math.PI)

/** B(2k) / (2k (2k - 1)) for k = 1..8. */
const STIRLING_COEFFICIENTS = [
  1 / 12,
  -1 / 360,
  1 / 1260,
  -1 / 1680,
  1 / 1188,
  -691 / 360360,
  1 / 156,
  -3617 / 122400,
] as const

/** What Stirling's formula lacks: lgamma(x) - ((x - 1/2) ln x - x + ln(2 pi) / 2), for x >= 10. */
function stirlingRest(x: number): number {
  const inverseSquare = 1 / (x * x)
  let sum = 0
  for (let k = STIRLING_COEFFICIENTS.length - 1; k >= 0; k--) {
    sum = sum * inverseSquare + STIRLING_COEFFICIENTS[k]
  }
  return sum / x
}

/** Natural logarithm of the gamma function, x > 0. */
export function logGamma(x: number): number {
  // Below the range of the series, climb by gamma(x + 1) = x gamma(x); the product stays below 10^10.
  let product = 1
  let y = x
  while (y < STIRLING_FROM) {
    product *= y
    y += 1
  }
  return (y - 0.5) * Math.log(y) - y + HALF_LOG_TWO_PI + stirlingRest(y) - Math.log(product)
}

/** Natural logarithm of the beta function B(a, b) = gamma(a) gamma(b) / gamma(a + b), a > 0, b > 0. */
export function logBeta(a: number, b: number): number {
  const p = Math.min(a, b)
  const q = Math.max(a, b)
  if (q < STIRLING_FROM) return logGamma(p) + logGamma(q) - logGamma(p + q)
  const rest = stirlingRest(q) - stirlingRest(p + q)
  if (p < STIRLING_FROM) {
    return logGamma(p) + rest + p - p * Math.log(p + q) + (q - 0.5) * Math.log1p(-p / (p + q))
  }
  const ratio = p / q
  return (
    HALF_LOG_TWO_PI +
    stirlingRest(p) +
    rest -
    0.5 * Math.log(q) +
    (p - 0.5) * Math.log(ratio / (1 + ratio)) -
    q * Math.log1p(ratio)
  )
}

/** Log density of Beta(a, b) at x in [0, 1]; a > 0, b > 0; infinite where the density is 0 or has its pole. */
export function logBetaPdf(x: number, a: number, b: number): number {
  const left = a === 1 ? 0 : (a - 1) * Math.log(x)
  const right = b === 1 ? 0 : (b - 1) * Math.log1p(-x)
  return left + right - logBeta(a, b)
}

/** Density of Beta(a, b) at x in [0, 1]; a > 0, b > 0. */
export function betaPdf(x: number, a: number, b: number): number {
  return Math.exp(logBetaPdf(x, a, b))
}
