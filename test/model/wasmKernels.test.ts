// Our kernels on tfjs's wasm backend: what they compute, against tfjs's own operations and against float64.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import * as tf from '@tensorflow/tfjs'
import { kernelModules } from '../../scripts/wasm/kernels.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import * as modules from '../../src/model/wasm/modules.js'
import {
  chooseOnWasm,
  crossAttentionOnWasm,
  lengthNormOnWasm,
  multiplyOnWasm,
  selfAttentionOnWasm,
  type ProductEnd,
} from '../../src/model/wasm/index.js'
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
    for (const [name, bytes] of Object.entries(await kernelModules())) {
      assert.equal(modules[name as keyof typeof modules], Buffer.from(bytes).toString('base64'))
    }
  })

  it('fit into what a page may compile at once', () => {
    for (const text of Object.values(modules)) assert.ok(atob(text).length <= 4096)
  })

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

  describe('attention', () => {
    const groups = fc.record({
      batch: fc.integer({ min: 1, max: 3 }),
      numHeads: fc.integer({ min: 1, max: 3 }),
      headWidth: fc.integer({ min: 1, max: 5 }).map((n) => 4 * n),
      numPositions: fc.integer({ min: 1, max: 6 }),
      before: fc.integer({ min: 0, max: 9 }),
      seed: fc.nat(),
    })
    type Group = typeof groups extends fc.Arbitrary<infer G> ? G : never

    const random4 = (random: Random, shape: [number, number, number, number], scale = 1): tf.Tensor4D =>
      tf.tensor4d(
        Float32Array.from({ length: tf.util.sizeFromShape(shape) }, () => scale * random.normal()),
        shape,
      )

    /** Everything a self-attention reads, its bias causal. */
    const drawSelf = ({ batch, numHeads, headWidth, numPositions, before, seed }: Group) => {
      const random = new Random(seed)
      const width = numHeads * headWidth
      const past = () => random4(random, [batch, numHeads, before, headWidth])
      const causal = tf.tensor2d(
        Float32Array.from({ length: numPositions * (before + numPositions) }, (_, i) => {
          const length = before + numPositions
          return (i % length) - before > Math.floor(i / length) ? -1e9 : 0
        }),
        [numPositions, before + numPositions],
      )
      const bias = random4(random, [1, numHeads, numPositions, before + numPositions], 2)
      return {
        projected: normal(random, batch * numPositions, 3 * width),
        past: before === 0 ? undefined : { key: past(), value: past() },
        bias: tf.add<tf.Tensor4D>(bias, causal),
      }
    }

    const splitHeads = (x: tf.Tensor, { batch, numHeads, numPositions, headWidth }: Group) =>
      tf.transpose<tf.Tensor4D>(tf.reshape(x, [batch, numPositions, numHeads, headWidth]), [0, 2, 1, 3])

    const assertNear = (actual: tf.Tensor, expected: tf.Tensor) => {
      assert.deepEqual(actual.shape, expected.shape)
      const [a, b] = [actual.dataSync(), expected.dataSync()]
      for (const [i, x] of a.entries()) assert.ok(Math.abs(x - b[i]) < 1e-5, `${i}: ${x}, not ${b[i]}`)
    }

    it('over positions of its own: what tfjs computes, and caches to the last bit', () => {
      fc.assert(
        fc.property(groups, (group) => {
          tf.tidy(() => {
            const { projected, past, bias } = drawSelf(group)
            const { attended, key, value } = selfAttentionOnWasm(projected, { ...group, past, bias })!
            const [q, k, v] = tf.split(projected, 3, 1).map((part) => splitHeads(part, group))
            const [keys, values] = past
              ? [tf.concat([past.key, k], 2), tf.concat([past.value, v], 2)]
              : [k, v]
            const weights = tf.softmax(tf.add(tf.matMul(q, keys, false, true), bias))
            const expected = tf.transpose(tf.matMul(weights, values), [0, 2, 1, 3])
            assertNear(attended, tf.reshape(expected, attended.shape))
            assert.deepEqual(key.shape, keys.shape)
            assert.deepEqual(bitsOf(key), bitsOf(keys))
            assert.deepEqual(bitsOf(value), bitsOf(values))
          })
        }),
        { numRuns: 80 },
      )
    })

    it('gives a row alone, and each position alone, the same to the last bit', () => {
      fc.assert(
        fc.property(groups, (group) => {
          tf.tidy(() => {
            const { projected, past, bias } = drawSelf(group)
            const { batch, numPositions, before, numHeads } = group
            const { attended } = selfAttentionOnWasm(projected, { ...group, past, bias })!
            const width = attended.shape[1]
            for (let row = 0; row < batch; row++) {
              let own = past && {
                key: tf.slice(past.key, [row, 0, 0, 0], [1, -1, -1, -1]),
                value: tf.slice(past.value, [row, 0, 0, 0], [1, -1, -1, -1]),
              }
              for (let position = 0; position < numPositions; position++) {
                const n = row * numPositions + position
                const alone = selfAttentionOnWasm(tf.slice(projected, [n, 0], [1, 3 * width]), {
                  batch: 1,
                  numHeads,
                  past: own,
                  bias: tf.slice(bias, [0, 0, position, 0], [1, numHeads, 1, before + position + 1]),
                })!
                assert.deepEqual(bitsOf(alone.attended), bitsOf(tf.slice(attended, [n, 0], [1, width])))
                own = alone
              }
            }
          })
        }),
        { numRuns: 60 },
      )
    })

    it('over a memory, one or one a row, masked or not: what tfjs computes', () => {
      fc.assert(
        fc.property(groups, fc.boolean(), fc.boolean(), (group, isShared, isMasked) => {
          tf.tidy(() => {
            const { batch, numHeads, headWidth, numPositions, before, seed } = group
            const random = new Random(seed)
            const queries = normal(random, batch * numPositions, numHeads * headWidth)
            const numMemories = isShared ? 1 : batch
            const make = () => random4(random, [numMemories, numHeads, before + 1, headWidth])
            const memory = { key: make(), value: make() }
            const mask = tf.tensor4d(
              Float32Array.from({ length: numMemories * (before + 1) }, (_, i) => (i % 3 === 1 ? -1e9 : 0)),
              [numMemories, 1, 1, before + 1],
            )
            const bias = isMasked ? mask : undefined
            const attended = crossAttentionOnWasm(queries, memory, { ...group, bias })!
            const [keys, values] = isShared
              ? [memory.key, memory.value].map((x) => tf.tile(x, [batch, 1, 1, 1]))
              : [memory.key, memory.value]
            const scores = tf.matMul(splitHeads(queries, group), keys, false, true)
            const weights = tf.softmax(bias ? tf.add(scores, bias) : scores)
            const expected = tf.transpose(tf.matMul(weights, values), [0, 2, 1, 3])
            assertNear(attended, tf.reshape(expected, attended.shape))
          })
        }),
        { numRuns: 80 },
      )
    })

    it('of scores far apart, and of one that is not a number', () => {
      tf.tidy(() => {
        const value = tf.tensor4d([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3], [1, 1, 3, 4])
        const attend = (...firsts: number[]) => {
          const key = tf.tensor4d(
            firsts.flatMap((first) => [first, 0, 0, 0]),
            [1, 1, 3, 4],
          )
          const query = tf.tensor2d([1, 0, 0, 0], [1, 4])
          return crossAttentionOnWasm(query, { key, value }, { batch: 1, numHeads: 1 })!.dataSync()[0]
        }
        assert.equal(attend(1000, -1000, 0), 1)
        assert.equal(attend(-1e30, -1e30, 0), 3)
        assert.ok(Math.abs(attend(0, 0, 0) - 2) < 1e-6)
        // exp(-80) of 2 beside 1: below what a float near 1 can hold, and no underflow to a wrong one.
        assert.equal(attend(0, -80, -200), 1)
        assert.ok(Number.isNaN(attend(NaN, 0, 0)))
      })
    })

    it('leaves what it is not for to others', () => {
      tf.tidy(() => {
        const shape = { batch: 1, numHeads: 1 }
        const many: tf.Tensor2D = tf.ones([33, 12])
        assert.equal(selfAttentionOnWasm(many, { ...shape, bias: tf.zeros([1, 1, 33, 33]) }), undefined)
        const odd: tf.Tensor4D = tf.ones([1, 1, 2, 6])
        assert.equal(crossAttentionOnWasm(tf.ones([1, 6]), { key: odd, value: odd }, shape), undefined)
      })
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
      chooseOnWasm(x)
      const memory: tf.Tensor4D = tf.ones([1, 2, 3, 8])
      crossAttentionOnWasm(x, { key: memory, value: memory }, { batch: 2, numHeads: 2 })
      selfAttentionOnWasm(tf.ones([1, 12]), { batch: 1, numHeads: 1, bias: tf.zeros([1, 1, 1, 1]) })
    })
    assert.equal(tf.memory().numTensors, before)
  })
})
