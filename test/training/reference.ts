// Reads the vectors of test/golden/training (scripts/golden/training.py) and compares with them.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { fromHuggingFaceTensors, readSafetensors, type StoredTensor } from '../../src/checkpoint/index.js'
import { IGNORED_LABEL, type TokenBatch } from '../../src/data/index.js'
import type { HostWeights } from '../../src/model/index.js'
import { readGoldenJson, readParityCase, type ParityBatch } from '../golden/parity.js'

const ROOT = fileURLToPath(new URL('../golden/training/', import.meta.url))

/** A JSON file of the vectors, gzipped where the name says so. */
export function readVectors<T>(name: string): T {
  const bytes = readFileSync(ROOT + name)
  return JSON.parse((name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')) as T
}

/** The tensors of a gzipped safetensors file. */
export function readVectorTensors(name: string): ReadonlyMap<string, StoredTensor> {
  return readSafetensors(gunzipSync(readFileSync(ROOT + name)), name).tensors
}

/** Tensors named as the reference names a model's parameters, after `prefix`, under our names and in our layout. */
export function inOurNames(
  tensors: ReadonlyMap<string, StoredTensor>,
  model: string,
  prefix = '',
): HostWeights {
  const ofCase = [...tensors].flatMap(([name, tensor]) =>
    name.startsWith(prefix) ? [[name.slice(prefix.length), tensor] as const] : [],
  )
  return fromHuggingFaceTensors(new Map(ofCase), readGoldenJson(`${model}/config.json`), model).weights
}

/** The rows on which the reference took its losses. */
export function readMainBatch(model: string): ParityBatch {
  return readParityCase(model).batches.find(({ name }) => name === 'main')!
}

/** A batch of the vectors as training takes it. */
export function toTokenBatch(batch: ParityBatch): TokenBatch {
  const labels = Int32Array.from(batch.labels.flat())
  return {
    batchSize: batch.labels.length,
    sourceLength: batch.input_ids[0].length,
    targetLength: batch.labels[0].length,
    sources: Int32Array.from(batch.input_ids.flat()),
    decoderInputs: Int32Array.from(batch.decoder_input_ids.flat()),
    labels,
    numTokens: labels.filter((label) => label !== IGNORED_LABEL).length,
    indices: Int32Array.from(batch.labels.keys()),
  }
}

/** The largest absolute value. */
export function maxAbs(values: ArrayLike<number>): number {
  let max = 0
  for (let i = 0; i < values.length; i++) max = Math.max(max, Math.abs(values[i]))
  return max
}

/** The largest difference over the largest expected value; NaN anywhere gives NaN. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(actual.length, expected.length)
  const differences = Array.from(actual, (value, i) => value - expected[i])
  if (differences.some(Number.isNaN)) return NaN
  return maxAbs(differences) / Math.max(Number.MIN_VALUE, maxAbs(expected))
}

/** Asserts {@link relativeError} to be at most `tolerance`. */
export function assertNear(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { tolerance, what }: { readonly tolerance: number; readonly what: string },
): void {
  const error = relativeError(actual, expected)
  assert.ok(error <= tolerance, `${what}: off by ${error} of its largest value, allowed ${tolerance}`)
}
