// Reads the calibration vectors and compares numbers with them.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

export interface GoldenState {
  readonly alpha: [number, number]
  readonly beta: [number, number]
  readonly weight: [number, number]
  readonly logLikelihood: number
}

export interface GoldenData {
  readonly name: string
  readonly confidence: number[]
  readonly agree: number[]
}

export interface GoldenFit {
  readonly dataset: string
  readonly labelWeight: number
  readonly iterations: number
  readonly start: GoldenState
  readonly first: GoldenState[]
  readonly end: GoldenState
  readonly posteriorEqualPrior: number[]
  readonly posteriorMixturePrior: number[]
  readonly thresholdEqualPrior: number | null
  readonly thresholdMixturePrior: number | null
}

export interface GoldenMixtures {
  readonly zeta: number
  readonly low: number
  readonly high: number
  readonly datasets: GoldenData[]
  readonly degenerate: GoldenData[]
  readonly fits: GoldenFit[]
}

export interface GoldenSpecial {
  readonly unary: [x: number, lgamma: number, digamma: number][]
  readonly logBeta: [a: number, b: number, logBeta: number][]
  readonly beta: [a: number, b: number, x: number, pdf: number, logpdf: number, cdf: number][]
}

/** One file of test/golden/calibration. */
export function readGolden<T>(name: 'beta-mixture' | 'special'): T {
  const file = new URL(`../golden/calibration/${name}.json.gz`, import.meta.url)
  return JSON.parse(gunzipSync(readFileSync(file)).toString()) as T
}

/** Asserts |actual - expected| <= tolerance * max(1, |expected|). */
export function assertNear(actual: number, expected: number, tolerance: number, what: string): void {
  assertWithin(actual, expected, tolerance * Math.max(1, Math.abs(expected)), what)
}

/** Asserts |actual - expected| <= tolerance * |expected|. */
export function assertRelative(actual: number, expected: number, tolerance: number, what: string): void {
  assertWithin(actual, expected, tolerance * Math.abs(expected), what)
}

function assertWithin(actual: number, expected: number, bound: number, what: string): void {
  assert.ok(Math.abs(actual - expected) <= bound, `${what}: ${actual}, expected ${expected} +- ${bound}`)
}
