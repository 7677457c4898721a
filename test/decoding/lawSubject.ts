// What the laws of decoding are checked on, how differences of float32 are excused, and the uncached passes they compare
// with.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import type { Calibrator } from '../../src/calibration/index.js'
import type { ModelConfig } from '../../src/config/index.js'
import { free, full, lossless, rollback, staticExit } from '../../src/decoding/index.js'
import type { DecodeOptions, DecoderEngine, Policy } from '../../src/decoding/index.js'
import type { HostWeights } from '../../src/model/index.js'
import { weightsOf } from './randomCases.js'
import type { LawCase } from './randomCases.js'

/** Makes the engine under test. */
export type MakeEngine = (model: {
  readonly config: ModelConfig
  readonly weights: HostWeights
}) => DecoderEngine | Promise<DecoderEngine>

/** The policies under test; mutants replace some. */
export interface Policies {
  readonly full: () => Policy
  readonly staticExit: (exitLayer?: number) => Policy
  readonly free: (threshold: number | Calibrator) => Policy
  readonly lossless: (threshold: number | Calibrator) => Policy
  readonly rollback: (threshold: number | Calibrator, bound?: number) => Policy
}

/** What a law is checked on. */
export interface Subject {
  readonly makeEngine: MakeEngine
  readonly policies: Policies
}

/** How often a difference was excused: the exit's two best logits were closer than float32 can tell apart. */
export interface Tally {
  checked: number
  excused: number
}

/** The policies as they are. */
export const realPolicies: Policies = { full, staticExit, free, lossless, rollback }

/** Gaps of two logits below this may fall either way in float32. */
export const EXCUSED_GAP = 1e-5

export type Law = (drawn: LawCase, subject: Subject, tally: Tally) => Promise<void>

/** Makes the case's engine, uses it, and frees it. */
export async function withEngine<T>(
  drawn: LawCase,
  { makeEngine }: Subject,
  use: (engine: DecoderEngine) => Promise<T>,
): Promise<T> {
  const engine = await makeEngine({ config: drawn.config, weights: weightsOf(drawn) })
  try {
    return await use(engine)
  } finally {
    engine.dispose()
  }
}

/** The case's loop options. */
export function optionsOf({ maxPending, maxNewTokens }: LawCase, policy: Policy): DecodeOptions {
  return { policy, maxPending, maxNewTokens }
}

/** Distance of the two largest logits. */
export function gapOf(logits: ArrayLike<number>): number {
  const [first, second] = Array.from(logits).sort((a, b) => b - a)
  return first - second
}

/** Logits of both exits at every position, by one uncached pass of the LayersModel. */
export function predictLogits(
  model: tf.LayersModel,
  source: readonly number[],
  tokens: readonly number[],
): Float32Array[][] {
  return tf.tidy(() => {
    const inputs = [source, tokens].map((row) => tf.tensor2d([...row], [1, row.length], 'int32'))
    return (model.predict(inputs) as tf.Tensor3D[]).map((output) => {
      const all = output.dataSync() as Float32Array
      const width = output.shape[2]
      return tokens.map((_, i) => all.slice(i * width, (i + 1) * width))
    })
  })
}

/** The bound of DESIGN's law 3 for float32. */
const CLOSE = 1e-4

/** The largest difference of two vectors of one length, relative where the expected value is above 1. */
export function distanceOf(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let largest = 0
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(actual[i] - expected[i]) / (1 + Math.abs(expected[i])))
  }
  return largest
}

/** Throws an AssertionError where two vectors differ in length or by more than `bound` (NaN differs from everything). */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  what: string,
  bound = CLOSE,
): void {
  assert.equal(actual.length, expected.length, what)
  const distance = distanceOf(actual, expected)
  assert.ok(
    distance <= bound,
    `${what}: off by ${distance.toExponential(2)}, at most ${bound.toExponential(2)}`,
  )
}

/**
 * Compares the logits of two float32 passes. A few random models amplify rounding, so that both passes are right and
 * yet differ by more than the bound: there float64 is the judge, and an engine may be off by three times as much as the
 * other pass is. Returns whether it had to be asked.
 */
export function assertCloseOrExcused(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  what: string,
  exact: () => ArrayLike<number>,
): boolean {
  if (actual.length === expected.length && distanceOf(actual, expected) <= CLOSE) return false
  const judge = exact()
  assertClose(actual, judge, what, Math.max(CLOSE, 3 * distanceOf(expected, judge)))
  return true
}
