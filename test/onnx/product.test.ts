// Products in every precision, computed by ONNX Runtime: near the exact one, and of each position by itself.
import assert from 'node:assert/strict'
import type { EngineDtype } from '../../src/config/index.js'
import { loadOnnxRuntime } from '../../src/engines/onnx/index.node.js'
import { joinChunks } from '../../src/protobuf/index.js'
import { GraphBuilder } from '../../src/onnx/graph.js'
import { multiply } from '../../src/onnx/product.js'
import { Random } from '../../src/random.js'

const [IN, OUT, N] = [70, 24, 5]

/** Runs states [n, IN] through one product. */
async function multiplyBy(
  precision: EngineDtype,
  matrix: Float32Array,
  states: Float32Array,
): Promise<Float32Array> {
  const graph = new GraphBuilder()
  graph.input({ name: 'x', type: 'float32', shape: ['N', IN] })
  graph.output({ name: 'y', type: 'float32', shape: ['N', OUT] })
  const named = { name: 'matrix', make: () => ({ shape: [IN, OUT], data: matrix }) }
  multiply(graph, 'x', named, { precision, output: 'y' })
  const { InferenceSession, Tensor } = await loadOnnxRuntime()
  const session = await InferenceSession.create(joinChunks(graph.finish('product')), { intraOpNumThreads: 1 })
  const feeds = { x: new Tensor('float32', states, [states.length / IN, IN]) }
  const { y } = await session.run(feeds, { y: null })
  await session.release()
  return y.data as Float32Array
}

describe('products', () => {
  const random = new Random(3)
  const matrix = Float32Array.from({ length: IN * OUT }, () => random.normal())
  // Positions of very different size: one scale for all of them would leave nothing of the small ones.
  const states = Float32Array.from(
    { length: N * IN },
    (_, i) => random.normal() * 10 ** (Math.floor(i / IN) - 2),
  )
  states.fill(0, 4 * IN)
  // Of the root mean square of a position's results: what random roundings of both factors make.
  const tolerances = { float32: 1e-6, int8: 0.03, q4: 0.25 }

  for (const [precision, tolerance] of Object.entries(tolerances) as [EngineDtype, number][]) {
    it(`in ${precision} are within ${tolerance} of the exact ones, and a position of zeros gives zeros`, async () => {
      const actual = await multiplyBy(precision, matrix, states)
      for (let n = 0; n < N; n++) {
        const exact = Array.from({ length: OUT }, (_, o) => {
          let sum = 0
          for (let i = 0; i < IN; i++) sum += states[n * IN + i] * matrix[i * OUT + o]
          return sum
        })
        const size = Math.sqrt(exact.reduce((sum, x) => sum + x * x, 0) / OUT)
        for (const [o, value] of exact.entries()) {
          assert.ok(Math.abs(actual[n * OUT + o] - value) <= tolerance * size, `position ${n}, output ${o}`)
        }
      }
    })

    it(`in ${precision} give each position what it gets alone, to the last bit`, async () => {
      const together = await multiplyBy(precision, matrix, states)
      for (let n = 0; n < N; n++) {
        const alone = await multiplyBy(precision, matrix, states.slice(n * IN, (n + 1) * IN))
        assert.deepEqual(alone, together.slice(n * OUT, (n + 1) * OUT))
      }
    })
  }
})
