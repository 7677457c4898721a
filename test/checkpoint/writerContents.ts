// What the killed writer writes, so that a reader can tell whether what it finds is whole and which write it is of.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Checkpoint } from '../../src/checkpoint/index.js'
import { parseModelConfig, weightSpecs } from '../../src/config/index.js'

/** How many of the newest checkpoints the writer keeps. */
export const KEEP_LAST = 2

/** Large enough (4 MB) for kills to land inside the writing of the weights. */
const CONFIG = parseModelConfig(
  {
    vocabSize: 65536,
    dModel: 16,
    numHeads: 2,
    dKv: 4,
    dFf: 8,
    encoderLayers: 1,
    decoderLayers: 2,
    shallowLayers: 1,
  },
  'test',
)

/** A checkpoint in which every weight is `value`. */
export function constantCheckpoint(value: number): Checkpoint {
  const weights = new Map(
    weightSpecs(CONFIG).map(({ name, shape }) => {
      const length = shape.reduce((product, size) => product * size, 1)
      return [name, { shape, data: new Float32Array(length).fill(value) }]
    }),
  )
  return { config: CONFIG, weights, calibration: { value } }
}

/** Asserts that a checkpoint is all of one write, and returns which. */
export function numberOfCheckpoint({ weights, calibration }: Checkpoint): number {
  const value = calibration?.['value'] as number
  for (const { data } of weights.values()) assert.ok(data.every((weight) => weight === value))
  return value
}

/** The files of step `n`: 3 MB that depend on it, and their checksum. */
export function runFiles(n: number): Map<string, Uint8Array | string> {
  const state = new Uint32Array(750_000)
  for (let i = 0; i < state.length; i++) state[i] = Math.imul(i + 1, 2654435761 + n)
  const bytes = new Uint8Array(state.buffer)
  return new Map<string, Uint8Array | string>([
    ['state.bin', bytes],
    ['checksum.txt', checksum(bytes)],
  ])
}

/** Asserts that a run's checkpoint folder is whole and of the step in its name, and returns the step. */
export function stepOfFolder(path: string): number {
  const step = Number(/^\.?step-(\d+)(?:\.old)?$/.exec(basename(path))?.[1])
  const expected = readFileSync(join(path, 'checksum.txt'), 'utf8')
  assert.equal(checksum(readFileSync(join(path, 'state.bin'))), expected)
  assert.equal(expected, runFiles(step).get('checksum.txt'))
  return step
}

function checksum(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
