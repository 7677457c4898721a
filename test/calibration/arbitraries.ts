// Random evidence and options for the laws of calibration. Runs are seeded, so that a failure is there again.
import fc from 'fast-check'
import type { Evidence } from '../../src/calibration/index.js'
import type { BetaMixtureOptions } from '../../src/config/index.js'

/** Parameters of every fc.assert of this folder; looking for a smaller counterexample ends after ten seconds. */
export function runs(numRuns: number): fc.Parameters<unknown> {
  return { seed: 20231206, numRuns, interruptAfterTimeLimit: 10_000, markInterruptAsFailure: true }
}

const confidences = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.float({ min: 0, max: 1, noNaN: true }),
  // Ties, the ends, and the crowd just below 1 that trained models show.
  fc.constantFrom(0, 0.3, 0.5, 0.9, 1),
  fc.double({ min: 0.999, max: 1, noNaN: true }),
)

/** A point of evidence. */
export const points: fc.Arbitrary<Evidence> = fc
  .tuple(confidences, fc.boolean())
  .map(([confidence, agree]) => ({ confidence, agree }))

/** Evidence with a random share of agreement and a random dependence on confidence, also none of either. */
export function evidenceOf(maxLength: number): fc.Arbitrary<Evidence[]> {
  const link = fc.constantFrom(
    (c: number, u: number) => u < c,
    (c: number, u: number) => u > c,
    (_: number, u: number) => u < 0.5,
    (_: number, u: number) => u < 0.8,
    (c: number, u: number) => c > 0.7 || u < 0.1,
    () => true,
    () => false,
  )
  const draws = fc.array(fc.tuple(confidences, fc.double({ min: 0, max: 1, noNaN: true })), { maxLength })
  return fc
    .tuple(draws, link)
    .map(([all, agrees]) => all.map(([c, u]) => ({ confidence: c, agree: agrees(c, u) })))
}

/** Complete options, also extreme ones; the window is small enough to be outgrown. */
export const mixtureOptions: fc.Arbitrary<BetaMixtureOptions> = fc
  .record(
    {
      zeta: fc.constantFrom(0.05, 0.4, 0.5, 0.95),
      ends: fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
      prior: fc.constantFrom('equal' as const, 'empirical' as const),
      labelWeight: fc.constantFrom(0, 0.2, 1),
      iterations: fc.constantFrom(1, 10, 30),
      windowSize: fc.integer({ min: 20, max: 80 }),
      minEvidence: fc.integer({ min: 1, max: 20 }),
      plentifulEvidence: fc.constantFrom(0, 30, 512),
      observeEvery: fc.integer({ min: 1, max: 8 }),
      initialThreshold: fc.constantFrom(0, 0.5, 0.9, 1),
      minAgreement: fc.constantFrom(0, 0.5, 0.75, 0.9, 1),
    },
    { noNullPrototype: true },
  )
  .map(({ ends: [a, b], ...options }) => ({ ...options, low: Math.min(a, b), high: Math.max(a, b) }))
