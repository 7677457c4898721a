// Our kernels on tfjs's wasm backend: what they compute, against tfjs's own operations and against float64.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import * as tf from '@tensorflow/tfjs'
import { kernelsModule } from '../../scripts/wasm/kernels.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { MODULE } from '../../src/model/wasm/module.js'
import { lengthNormOnWasm, multiplyOnWasm, type ProductEnd } from '../../src/model/wasm/index.js'
import { Random } from '../../src/random.js'

const sizes = fc.record({
  rows: fc.integer({ min: 1, max: 32 }),
  depth: fc.integer({ min: 1, max: 9 }).map((n) => 16 * n),
  width: fc.integer({ min: 1, max: 40 }).map((n) => 4 * n),
  seed: fc.nat(),
})

function normal(random: Random, ...shape: [number, number]): tf.Tensor2D {
  const data = Float32Array.from({ length: shape[0] * shape[1] }, () => random.normal())
  return tf.tensor2d(data, shape)
}

/** The bits, so that not even the sign of a zero may differ. */
const bitsOf = (x: tf.Tensor) => new Uint32Array((x.dataSync() as Float32Array).slice().buffer)

describe("kernels of our own on tfjs's wasm backend", () => {
  before(() => chooseBackend({ backend: 'wasm' }))

  it('are what their source becomes', async () => {
    assert.equal(MODULE, Buffer.from(await kernelsModule()).toString('base64'))
  })

  it('fit into what a page may compile at once', () => assert.ok(atob(MODULE).length <= 4096))

  const ends: Record<string, (product: tf.Tensor2D, added: tf.Tensor2D) => tf.Tensor2D> = {
    'a product': (product) => product,
    'a product and something to add': (product, added) => tf.add(added, product),
    'a product and a ReLU': (product) => tf.relu(product),
    'a product, something to add and a ReLU': (product, added) => tf.relu(tf.add(added, product)),
  }
  for (const [name, expect] of Object.entries(ends)) {
    it(`${name}: to the last bit what tfjs computes`, () => {
      fc.assert(
        fc.property(sizes, ({ rows, depth, width, seed }) => {
          tf.tidy(() => {
            const random = new Random(seed)
            const [x, matrix] = [normal(random, rows, depth), normal(random, depth, width)]
            const added = normal(random, rows, width)
            const end: ProductEnd = {
              ...(name.includes('add') && { added }),
              relu: name.includes('ReLU'),
            }
            const actual = multiplyOnWasm(x, matrix, end)!
            assert.deepEqual(actual.shape, [rows, width])
            assert.deepEqual(bitsOf(actual), bitsOf(expect(tf.matMul(x, matrix), added)))
          })
        }),
        { numRuns: 60 },
      )
    })
  }

  it('a product is near the exact one', () => {
    tf.tidy(() => {
      const random = new Random(1)
      const [x, matrix] = [normal(random, 3, 512), normal(random, 512, 32)]
      const [a, b, c] = [x, matrix, multiplyOnWasm(x, matrix)!].map(
        (tensor) => tensor.arraySync() as number[][],
      )
      for (const [n, row] of c.entries()) {
        for (const [j, value] of row.entries()) {
          const exact = a[n].reduce((sum, xi, i) => sum + xi * b[i][j], 0)
          assert.ok(Math.abs(value - exact) < 1e-4, `${value}, not ${exact}`)
        }
      }
    })
  })

  it('the norm is near the exact one, and a row its own alone to the last bit', () => {
    fc.assert(
      fc.property(sizes, fc.double({ min: 1e-12, max: 1, noNaN: true }), ({ rows, width, seed }, epsilon) => {
        tf.tidy(() => {
          const x = normal(new Random(seed), rows, width)
          const normed = lengthNormOnWasm(x, epsilon)!
          const [from, to] = [x.arraySync(), normed.arraySync()]
          for (const [n, row] of from.entries()) {
            const scale = 1 / Math.sqrt(row.reduce((sum, value) => sum + value * value, 0) + epsilon)
            for (const [i, value] of row.entries()) {
              assert.ok(Math.abs(to[n][i] - value * scale) <= 2e-6 * Math.abs(value * scale) + 1e-12)
            }
            const alone = lengthNormOnWasm(tf.slice(x, [n, 0], [1, width]), epsilon)!
            assert.deepEqual(bitsOf(alone), bitsOf(tf.slice(normed, [n, 0], [1, width])))
          }
        })
      }),
      { numRuns: 40 },
    )
  })

  it('what is not a number stays so', () => {
    tf.tidy(() => {
      const x = tf.tensor2d([NaN, ...new Array(15).fill(1)], [1, 16])
      const product = multiplyOnWasm(x, tf.ones([16, 4]) as tf.Tensor2D, { relu: true })!
      assert.ok(product.dataSync().every(Number.isNaN))
      assert.ok(lengthNormOnWasm(x, 1e-6)!.dataSync().every(Number.isNaN))
    })
  })

  it('are right when the memory has grown since', () => {
    tf.tidy(() => {
      const random = new Random(3)
      const [x, matrix] = [normal(random, 2, 64), normal(random, 64, 8)]
      const before = bitsOf(multiplyOnWasm(x, matrix)!)
      tf.zeros([96, 1024, 1024]) // 384 MB
      assert.deepEqual(bitsOf(multiplyOnWasm(x, matrix)!), before)
    })
  })

  it('leave what they are not for to others', () => {
    tf.tidy(() => {
      const ones = (...shape: [number, number]): tf.Tensor2D => tf.ones(shape)
      assert.equal(multiplyOnWasm(ones(33, 16), ones(16, 4)), undefined)
      assert.equal(multiplyOnWasm(ones(1, 24), ones(24, 4)), undefined)
      assert.equal(multiplyOnWasm(ones(1, 16), ones(16, 6)), undefined)
      assert.equal(multiplyOnWasm(ones(1, 16), ones(32, 4)), undefined)
      assert.equal(multiplyOnWasm(ones(0, 16), ones(16, 4)), undefined)
      assert.equal(multiplyOnWasm(ones(1, 16), tf.ones([2, 16, 4])), undefined)
      assert.equal(multiplyOnWasm(tf.ones([1, 16], 'int32'), ones(16, 4)), undefined)
      assert.equal(lengthNormOnWasm(ones(1, 6), 1e-6), undefined)
    })
  })

  it('make nothing on other backends', async () => {
    await chooseBackend({ backend: 'cpu' })
    try {
      tf.tidy(() => {
        assert.equal(multiplyOnWasm(tf.ones([1, 16]), tf.ones([16, 4])), undefined)
        assert.equal(lengthNormOnWasm(tf.ones([1, 16]), 1e-6), undefined)
      })
    } finally {
      await chooseBackend({ backend: 'wasm' })
    }
  })

  it('leave no tensor behind', () => {
    const before = tf.memory().numTensors
    tf.tidy(() => {
      const x: tf.Tensor2D = tf.ones([2, 16])
      multiplyOnWasm(x, tf.ones([16, 16]), { added: x, relu: true })
      lengthNormOnWasm(x, 1e-6)
    })
    assert.equal(tf.memory().numTensors, before)
  })
})
