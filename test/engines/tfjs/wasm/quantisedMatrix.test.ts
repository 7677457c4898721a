// Matrices in 8 bits on wasm: to the last bit what whole numbers and two scales give, and near the float32 product.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import * as tf from '@tensorflow/tfjs'
import { chooseBackend } from '../../../../src/engines/tfjs/backend.node.js'
import { currentKernels, type Kernels } from '../../../../src/engines/tfjs/wasm/kernels.js'
import { QuantisedMatrix } from '../../../../src/engines/tfjs/wasm/quantisedMatrix.js'
import { QuantisedRows } from '../../../../src/engines/tfjs/wasm/quantisedRows.js'
import type { HostWeight } from '../../../../src/model/index.js'
import { Random } from '../../../../src/random.js'

const bitsOf = (x: ArrayLike<number>) => new Uint32Array(Float32Array.from(x).buffer)

/** To the nearest whole number, of two the even one. */
function nearest(x: number): number {
  const below = Math.floor(x)
  if (x - below !== 0.5) return Math.round(x)
  return below % 2 === 0 ? below : below + 1
}

/** One row times a matrix [A, C], as the two are quantised; sums of whole numbers are exact here. */
function expected(row: Float32Array, { data, shape: [depth, width] }: HostWeight): number[] {
  const { fround } = Math
  const whole = Math.ceil(depth / 4) * 4
  const steps = Math.min(32767, Math.floor((2 ** 31 - 1) / (127 * whole)))
  const most = row.reduce((max, x) => Math.max(max, Math.abs(x)), 0)
  const [scale, inverse] = [fround(most / steps), fround(steps / most)]
  const numbers = Array.from(row, (x) => (most === 0 ? 0 : nearest(fround(x * inverse))))
  return Array.from({ length: width }, (_, column) => {
    const values = Array.from({ length: depth }, (_, i) => data[i * width + column])
    const step = fround(values.reduce((max, x) => Math.max(max, Math.abs(x)), 0) / 127)
    const bytes = values.map((x) => (step === 0 ? 0 : Math.max(-127, Math.min(127, Math.round(x / step)))))
    const sum = bytes.reduce((all, byte, i) => all + byte * numbers[i], 0)
    assert.ok(Math.abs(sum) < 2 ** 31)
    return fround(fround(sum) * fround(scale * step))
  })
}

describe('a matrix in 8 bits on wasm', () => {
  let kernels: Kernels
  let inputs: QuantisedRows
  before(async () => {
    await chooseBackend({ backend: 'wasm', threads: 1 })
    kernels = currentKernels()!
    inputs = new QuantisedRows(kernels)
  })
  after(() => inputs.dispose())

  function drawn(random: Random, ...shape: [number, number]): HostWeight {
    return { shape, data: Float32Array.from({ length: shape[0] * shape[1] }, () => random.normal()) }
  }

  /** The product's rows. */
  function multiply(x: HostWeight, weight: HostWeight): Float32Array[] {
    return tf.tidy(() => {
      const matrix = new QuantisedMatrix(kernels, inputs, weight)
      const product = matrix.multiply(tf.tensor2d(x.data, [...x.shape] as [number, number]))
      assert.deepEqual(product.shape, [x.shape[0], weight.shape[1]])
      matrix.dispose()
      matrix.dispose()
      const data = product.dataSync() as Float32Array
      const width = weight.shape[1]
      return Array.from({ length: x.shape[0] }, (_, n) => data.slice(n * width, (n + 1) * width))
    })
  }

  const rowOf = ({ data, shape: [, depth] }: HostWeight, n: number) =>
    data.slice(n * depth, (n + 1) * depth) as Float32Array

  const sizes = fc.record({
    rows: fc.integer({ min: 1, max: 9 }),
    depth: fc.integer({ min: 1, max: 150 }),
    width: fc.integer({ min: 1, max: 200 }),
    seed: fc.nat(),
  })

  it('is what its numbers say, to the last bit, in every row', () => {
    fc.assert(
      fc.property(sizes, ({ rows, depth, width, seed }) => {
        const random = new Random(seed)
        const [x, weight] = [drawn(random, rows, depth), drawn(random, depth, width)]
        for (const [n, row] of multiply(x, weight).entries()) {
          assert.deepEqual(bitsOf(row), bitsOf(expected(rowOf(x, n), weight)))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('is near the float32 product at the sizes of models', () => {
    const random = new Random(2)
    for (const [depth, width] of [
      [192, 576],
      [512, 1536],
      [2048, 512],
    ]) {
      const [x, weight] = [drawn(random, 3, depth), drawn(random, depth, width)]
      const rows = multiply(x, weight)
      const exact = tf.tidy(() =>
        tf.matMul(tf.tensor2d(x.data, [3, depth]), tf.tensor2d(weight.data, [depth, width])).dataSync(),
      )
      // Numbers of deviation 1: a product's is the root of the depth. Measured: 0.008 of it.
      const off = rows.flatMap((row, n) => Array.from(row, (value, i) => value - exact[n * width + i]))
      const deviation = Math.sqrt(off.reduce((sum, x) => sum + x * x, 0) / off.length / depth)
      assert.ok(deviation > 0.002 && deviation < 0.012, `${deviation}`)
    }
  })

  it('does not leave 32 bits where all numbers are as large as they may be', () => {
    for (const depth of [8, 512, 4096, 65_536]) {
      const ones = (...shape: [number, number]) => ({
        shape,
        data: new Float32Array(shape[0] * shape[1]).fill(-3),
      })
      const [row] = multiply(ones(1, depth), ones(depth, 4))
      for (const value of row) assert.ok(Math.abs(value / (9 * depth) - 1) < 1e-6, `${value}`)
    }
  })

  it('gives nothing for rows of nothing, and of the smallest numbers no more than they are', () => {
    const weight = drawn(new Random(1), 8, 4)
    const rows = (value: number) => multiply({ shape: [1, 8], data: new Float32Array(8).fill(value) }, weight)
    assert.deepEqual(rows(0), [new Float32Array(4)])
    for (const value of rows(1e-42)[0]) assert.ok(Math.abs(value) < 1e-40, `${value}`)
  })

  it('keeps what is not a number, in a row as in a column', () => {
    const random = new Random(3)
    for (const bad of [NaN, Infinity, -Infinity]) {
      const [x, weight] = [drawn(random, 2, 12), drawn(random, 12, 70)]
      x.data[15] = bad
      const [first, second] = multiply(x, weight)
      assert.ok(first.every(Number.isFinite))
      assert.ok(second.every(Number.isNaN))
      const spoiled = drawn(random, 12, 70)
      spoiled.data[3] = bad
      const [row] = multiply(drawn(random, 1, 12), spoiled)
      for (const [i, value] of row.entries()) assert.equal(Number.isFinite(value), i !== 3)
    }
  })

  it('of no rows is nothing', () => {
    assert.deepEqual(multiply({ shape: [0, 8], data: new Float32Array() }, drawn(new Random(1), 8, 4)), [])
  })
})
