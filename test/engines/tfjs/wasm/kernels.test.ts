// Kernels of our own on tfjs's wasm backend: what they compute, against tfjs's own operations and against float64.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import * as tf from '@tensorflow/tfjs'
import wabt from 'wabt'
import { kernelModules } from '../../../../scripts/wasm/kernels.js'
import { chooseBackend } from '../../../../src/engines/tfjs/backend.node.js'
import { attend, NO_BIAS } from '../../../../src/engines/tfjs/wasm/attention.js'
import { chooseOnWasm } from '../../../../src/engines/tfjs/wasm/choice.js'
import { currentKernels, type Kernels } from '../../../../src/engines/tfjs/wasm/kernels.js'
import * as modules from '../../../../src/engines/tfjs/wasm/modules.js'
import { PackedMatrix } from '../../../../src/engines/tfjs/wasm/packedMatrix.js'
import { FLOAT } from '../../../../src/engines/tfjs/wasm/rows.js'
import { withSharedMemory } from '../../../../src/engines/tfjs/wasm/sharedMemory.js'
import { Random } from '../../../../src/random.js'

function normal(random: Random, ...shape: [number, number]): tf.Tensor2D {
  const data = Float32Array.from({ length: shape[0] * shape[1] }, () => random.normal())
  return tf.tensor2d(data, shape)
}

/** The bits, so that not even the sign of a zero may differ. */
const bitsOf = (x: tf.Tensor) => new Uint32Array((x.dataSync() as Float32Array).slice().buffer)

describe("kernels of our own on tfjs's wasm backend", () => {
  let kernels: Kernels
  before(async () => {
    await chooseBackend({ backend: 'wasm', threads: 1 })
    kernels = currentKernels()!
  })

  it('are what their source becomes', async () => {
    for (const [name, bytes] of Object.entries(await kernelModules())) {
      assert.equal(modules[name as keyof typeof modules], Buffer.from(bytes).toString('base64'))
    }
  })

  it('fit into what a page may compile at once', () => {
    for (const text of Object.values(modules)) assert.ok(atob(text).length <= 4096)
  })

  describe('a packed matrix', () => {
    const sizes = fc.record({
      rows: fc.integer({ min: 1, max: 40 }),
      depth: fc.integer({ min: 1, max: 150 }),
      width: fc.integer({ min: 1, max: 200 }),
      seed: fc.nat(),
    })
    const pack = (matrix: tf.Tensor2D) =>
      new PackedMatrix(kernels, { shape: matrix.shape, data: matrix.dataSync() as Float32Array })

    it('multiplies: each sum in its order, to the last bit', () => {
      fc.assert(
        fc.property(sizes, ({ rows, depth, width, seed }) => {
          tf.tidy(() => {
            const random = new Random(seed)
            const [x, matrix] = [normal(random, rows, depth), normal(random, depth, width)]
            const packed = pack(matrix)
            const actual = packed.multiply(x)
            assert.deepEqual(
              [actual.shape, packed.shape],
              [
                [rows, width],
                [depth, width],
              ],
            )
            assert.deepEqual(bitsOf(actual), bitsOf(inOrder(x, matrix)))
            packed.dispose()
          })
        }),
        { numRuns: 120 },
      )
    })

    it('gives what tfjs gives at the sizes of models, to the last bit', () => {
      tf.tidy(() => {
        const random = new Random(4)
        for (const [depth, width] of [
          [192, 576],
          [448, 192],
          [512, 2048],
        ]) {
          const matrix = normal(random, depth, width)
          const packed = pack(matrix)
          for (const rows of [1, 2, 3, 4, 7, 33]) {
            const x = normal(random, rows, depth)
            assert.deepEqual(bitsOf(packed.multiply(x)), bitsOf(tf.matMul(x, matrix)))
          }
          packed.dispose()
        }
      })
    })

    it('of no rows is nothing', () => {
      tf.tidy(() => {
        const packed = pack(tf.ones([3, 5]))
        assert.deepEqual(packed.multiply(tf.zeros([0, 3])).shape, [0, 5])
        packed.dispose()
      })
    })

    it('keeps what is not a number', () => {
      tf.tidy(() => {
        const packed = pack(tf.ones([16, 40]))
        const x = tf.tensor2d([NaN, ...new Array<number>(15).fill(1)], [1, 16])
        assert.ok(packed.multiply(x).dataSync().every(Number.isNaN))
        packed.dispose()
      })
    })

    it('is right when the memory has grown since', () => {
      tf.tidy(() => {
        const random = new Random(3)
        const [x, matrix] = [normal(random, 2, 64), normal(random, 64, 8)]
        const packed = pack(matrix)
        const before = bitsOf(packed.multiply(x))
        tf.zeros([96, 1024, 1024]) // 384 MB
        assert.deepEqual(bitsOf(packed.multiply(x)), before)
        packed.dispose()
      })
    })

    it('leaves no tensor behind', () => {
      const before = tf.memory().numTensors
      tf.tidy(() => {
        const packed = pack(tf.ones([16, 16]))
        const x: tf.Tensor2D = tf.ones([2, 16])
        packed.multiply(x)
        packed.dispose()
        packed.dispose()
      })
      assert.equal(tf.memory().numTensors, before)
    })
  })

  it('something to add, and a ReLU, in place: to the last bit what tfjs computes, and what is no number stays', () => {
    tf.tidy(() => {
      const random = new Random(6)
      const [x, y] = [normal(random, 3, 20), normal(random, 3, 20)]
      const [sum, positive] = [tf.add(x, y), tf.relu(tf.add(x, y))]
      kernels.run.add(kernels.at(x), kernels.at(y), x.size)
      assert.deepEqual(bitsOf(x), bitsOf(sum))
      kernels.run.relu(kernels.at(x), x.size)
      assert.deepEqual(bitsOf(x), bitsOf(positive))
      const nan = tf.tensor1d([NaN, -1, 0, 1])
      kernels.run.relu(kernels.at(nan), 4)
      assert.deepEqual([...nan.dataSync()], [NaN, 0, 0, 1])
    })
  })

  it('a product with a plain matrix: to the last bit what tfjs computes, and nothing at odd sizes', () => {
    tf.tidy(() => {
      const random = new Random(5)
      for (const rows of [1, 2, 3, 4, 9]) {
        const [x, matrix] = [normal(random, rows, 48), normal(random, 48, 36)]
        assert.deepEqual(bitsOf(kernels.multiply(x, matrix)!), bitsOf(tf.matMul(x, matrix)))
      }
      assert.equal(kernels.multiply(tf.ones([1, 24]), tf.ones([24, 4])), undefined)
      assert.equal(kernels.multiply(tf.ones([1, 16]), tf.ones([16, 6])), undefined)
      assert.equal(kernels.multiply(tf.ones([0, 16]), tf.ones([16, 4])), undefined)
    })
  })

  it('the norm is near the exact one, and a row its own alone to the last bit', () => {
    const widths = fc.integer({ min: 1, max: 40 }).map((n) => 4 * n)
    const epsilons = fc.double({ min: 1e-12, max: 1, noNaN: true })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        widths,
        epsilons,
        fc.nat(),
        (rows, width, epsilon, seed) => {
          tf.tidy(() => {
            const x = normal(new Random(seed), rows, width)
            const norm = (from: tf.Tensor2D) => {
              const to = kernels.make<tf.Tensor2D>(from.shape)
              kernels.run.lengthNorm(kernels.at(from), kernels.at(to), from.shape[0], width, epsilon)
              return to
            }
            const normed = norm(x)
            const [from, to] = [x.arraySync(), normed.arraySync()]
            for (const [n, row] of from.entries()) {
              const scale = 1 / Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) + epsilon)
              for (const [i, value] of row.entries()) {
                assert.ok(Math.abs(to[n][i] - value * scale) <= 2e-6 * Math.abs(value * scale) + 1e-12)
              }
              const alone = norm(tf.slice(x, [n, 0], [1, width]))
              assert.deepEqual(bitsOf(alone), bitsOf(tf.slice(normed, [n, 0], [1, width])))
            }
          })
        },
      ),
      { numRuns: 40 },
    )
  })

  it('a gate is GELU in its tanh form times the linear part, from one end to the other', () => {
    tf.tidy(() => {
      const gates = [-1e30, -300, -20, -8, -3, -1, -0.5, -1e-3, 0, 1e-3, 0.5, 1, 3, 8, 20, 300]
      const linear = gates.map((_, i) => 1 + i / 8)
      const x = tf.tensor2d([...gates, ...linear], [1, 32])
      const out = tf.zeros<tf.Rank.R1>([16])
      kernels.run.gate(kernels.at(x), FLOAT * 32, kernels.at(out), FLOAT * 16, 1, FLOAT * 16)
      for (const [i, value] of out.arraySync().entries()) {
        const u = Math.sqrt(2 / Math.PI) * (gates[i] + 0.044715 * gates[i] ** 3)
        const exact = 0.5 * gates[i] * (1 + Math.tanh(u)) * linear[i]
        assert.ok(Math.abs(value - exact) <= 1e-6 * Math.max(1, Math.abs(exact)), `${gates[i]}: ${value}`)
      }
      const nan = tf.tensor2d([NaN, 0, 0, 0, 1, 1, 1, 1], [1, 8])
      kernels.run.gate(kernels.at(nan), 32, kernels.at(out), 16, 1, 16)
      assert.ok(Number.isNaN(out.dataSync()[0]))
    })
  })

  it('attention over scores far apart, and over one that is not a number', () => {
    tf.tidy(() => {
      const value = tf.tensor([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3])
      const [query, out, room] = [tf.tensor([1, 0, 0, 0]), tf.zeros([4]), tf.zeros([8 + 7])]
      const over = (...firsts: number[]) => {
        const key = tf.tensor(firsts.flatMap((first) => [first, 0, 0, 0]))
        const memory = { key: kernels.at(key), value: kernels.at(value), length: 3, rowStride: 0 }
        attend(
          kernels,
          { batch: 1, numHeads: 1, headWidth: 4, numPositions: 1 },
          {
            queries: { at: kernels.at(query), stride: 4 },
            attended: { at: kernels.at(out), stride: 4 },
            ...{ memory, bias: NO_BIAS, room: kernels.at(room) },
          },
        )
        return out.dataSync()[0]
      }
      assert.equal(over(1000, -1000, 0), 1)
      assert.equal(over(-1e30, -1e30, 0), 3)
      assert.ok(Math.abs(over(0, 0, 0) - 2) < 1e-6)
      // exp(-80) of 2 beside 1: below what a float near 1 can hold, and no underflow to a wrong one.
      assert.equal(over(0, -80, -200), 1)
      assert.ok(Number.isNaN(over(NaN, 0, 0)))
    })
  })

  describe("an exit's choice", () => {
    it('is the two largest, the lower id first where they are equal, and the probability of the first', () => {
      const logits = fc
        .record({ rows: fc.integer({ min: 1, max: 3 }), columns: fc.integer({ min: 1, max: 12 }) })
        .chain(({ rows, columns }) =>
          fc.array(
            // Few values, so that some are equal.
            fc.array(fc.integer({ min: -6, max: 6 }), { minLength: 4 * columns, maxLength: 4 * columns }),
            { minLength: rows, maxLength: rows },
          ),
        )
      fc.assert(
        fc.property(logits, (rows) => {
          tf.tidy(() => {
            const chosen = chooseOnWasm(tf.tensor2d(rows))!.arraySync()
            for (const [n, row] of rows.entries()) {
              const order = row.map((_, id) => id).sort((a, b) => row[b] - row[a] || a - b)
              const [first, second] = order
              assert.deepEqual(chosen[n].slice(0, 4), [first, second, row[first], row[second]])
              const exact = 1 / row.reduce((sum, logit) => sum + Math.exp(logit - row[first]), 0)
              assert.ok(Math.abs(chosen[n][4] - exact) < 1e-6, `${chosen[n][4]}, not ${exact}`)
            }
          })
        }),
      )
    })

    it('is told of logits that are not numbers, and of those far apart', () => {
      tf.tidy(() => {
        const [, , , , probability] = chooseOnWasm(tf.tensor2d([[1, 2, NaN, 4]]))!.dataSync()
        assert.ok(Number.isNaN(probability))
        const forbidden = chooseOnWasm(tf.tensor2d([[-1e9, -1e9, 3, -1e9]]))!.dataSync()
        assert.deepEqual([...forbidden], [2, 0, 3, -1e9, 1])
        assert.equal(chooseOnWasm(tf.ones([1, 6])), undefined)
      })
    })
  })

  describe('a shared memory', () => {
    const assemble = async (text: string) => {
      const { parseWat } = await wabt()
      return Uint8Array.from(parseWat('test.wat', text).toBinary({}).buffer)
    }

    it('is asked for by a module that imports one, past imports of every other kind', async () => {
      const bytes = await assemble(`(module
        (import "a" "f" (func))
        (import "a" "t" (table 1 2 funcref))
        (import "a" "g" (global i32))
        (import "a" "m" (memory 0 9)))`)
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 9, shared: true })
      const imports = {
        a: {
          f: () => {},
          t: new WebAssembly.Table({ initial: 1, maximum: 2, element: 'anyfunc' }),
          g: 1,
          m: memory,
        },
      }
      assert.throws(
        () => new WebAssembly.Instance(new WebAssembly.Module(bytes), imports),
        WebAssembly.LinkError,
      )
      const shared = withSharedMemory(bytes)
      new WebAssembly.Instance(new WebAssembly.Module(shared), imports)
      assert.equal(shared.length, bytes.length)
    })

    it('is what a module that defines one exports', async () => {
      const bytes = withSharedMemory(await assemble('(module (func) (memory (export "m") 1 9))'))
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes))
      assert.ok((exports.m as WebAssembly.Memory).buffer instanceof SharedArrayBuffer)
    })

    it('is not made of what has none, or no limit', async () => {
      const [none, endless] = [await assemble('(module (func))'), await assemble('(module (memory 1))')]
      assert.throws(() => withSharedMemory(none), /no memory/)
      assert.throws(() => withSharedMemory(endless), /maximum/)
    })
  })

  it('there are none on other backends', async () => {
    await chooseBackend({ backend: 'cpu' })
    try {
      assert.equal(currentKernels(), undefined)
      assert.equal(chooseOnWasm(tf.ones([1, 8])), undefined)
    } finally {
      await chooseBackend({ backend: 'wasm', threads: 1 })
    }
  })
})

/** x [N, A] times a matrix [A, C], each sum in the order of A, rounded to float32 at each step. */
function inOrder(x: tf.Tensor2D, matrix: tf.Tensor2D): tf.Tensor2D {
  const [rows, depth] = x.shape
  const width = matrix.shape[1]
  const [a, b] = [x.dataSync(), matrix.dataSync()]
  const out = new Float32Array(rows * width)
  for (let n = 0; n < rows; n++) {
    for (let i = 0; i < depth; i++) {
      const factor = a[n * depth + i]
      for (let c = 0; c < width; c++) {
        out[n * width + c] = Math.fround(out[n * width + c] + Math.fround(factor * b[i * width + c]))
      }
    }
  }
  return tf.tensor2d(out, [rows, width])
}
