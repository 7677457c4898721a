// Reads the vectors of test/golden/metrics, made by scripts/golden/metrics.py with the reference implementations.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

const FOLDER = new URL('../golden/metrics/', import.meta.url)

/** The parsed file of that name, plain or gzipped. */
export function readGolden<T>(name: string): T {
  const zipped = new URL(`${name}.gz`, FOLDER)
  const text = existsSync(zipped)
    ? gunzipSync(readFileSync(zipped)).toString('utf8')
    : readFileSync(new URL(name, FOLDER), 'utf8')
  return JSON.parse(text) as T
}

/** The tolerance of all vectors: the same formulas in float64, with sums and logarithms in another order at most. */
export const TOLERANCE = 1e-9

/** Asserts that a number, or each of a list, is the expected one within {@link TOLERANCE}. */
export function assertClose(
  actual: number | readonly number[],
  expected: number | readonly number[],
  what: string,
): void {
  const [a, e] = [[actual].flat(), [expected].flat()]
  assert.equal(a.length, e.length, `${what}: length`)
  a.forEach((value, i) => {
    assert.ok(Math.abs(value - e[i]) <= TOLERANCE, `${what}[${i}]: expected ${e[i]}, got ${value}`)
  })
}

/** A signature without its version, which names another program. */
export function withoutVersion(signature: string): string {
  assert.match(signature, /\|version:[^|]+$/)
  return signature.replace(/\|version:[^|]+$/, '')
}
