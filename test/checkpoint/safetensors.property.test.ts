// Laws of the safetensors reader and writer: round trips over random tensors. Damaged files: fuzz.slow.test.ts.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/index.js'
import type { Tensor, TensorData } from '../../src/checkpoint/index.js'

const shapes = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 })

function tensorOf(values: (length: number) => fc.Arbitrary<TensorData>): fc.Arbitrary<Tensor> {
  return shapes.chain((shape) => {
    const length = shape.reduce((product, size) => product * size, 1)
    return values(length).map((data) => ({ shape, data }))
  })
}

const exactly = (length: number) => ({ minLength: length, maxLength: length })
const anyFloat32 = tensorOf((length) => fc.float32Array({ ...exactly(length), noNaN: false }))
const anyTensor = fc.oneof(
  anyFloat32,
  tensorOf((length) => fc.int32Array(exactly(length))),
  tensorOf((length) => fc.uint8Array(exactly(length))),
  tensorOf((length) =>
    fc.array(fc.maxSafeInteger(), exactly(length)).map((items) => Float64Array.from(items)),
  ),
)
const names = fc
  .oneof(fc.string({ unit: 'binary' }), fc.constantFrom('0', '__proto__', 'constructor', '"', '\\', '\n', ''))
  .filter((name) => name !== '__metadata__')
const namedTensors = (tensor: fc.Arbitrary<Tensor>) =>
  fc.uniqueArray(fc.tuple(names, tensor), { selector: ([name]) => name, maxLength: 6 })

describe('safetensors', () => {
  it('reads back what it wrote, and writes the same bytes again', () => {
    const metadata = fc.dictionary(fc.string(), fc.string(), { maxKeys: 3, noNullPrototype: true })
    fc.assert(
      fc.property(namedTensors(anyTensor), metadata, (entries, metadata) => {
        const bytes = writeSafetensors(new Map(entries), { metadata })
        const back = readSafetensors(bytes, 'x')
        assert.deepEqual({ ...back.metadata }, { ...metadata })
        assert.equal(back.tensors.size, entries.length)
        for (const [name, tensor] of entries) {
          const { shape, data } = back.tensors.get(name) as Tensor
          assert.deepEqual({ shape, data }, tensor)
        }
        assert.deepEqual(writeSafetensors(back.tensors, { metadata: back.metadata }), bytes)
      }),
      { numRuns: 300 },
    )
  })

  it('stores float16 so that storing it again changes nothing', () => {
    const small = tensorOf((length) =>
      fc.float32Array({ ...exactly(length), min: -65504, max: 65504, noNaN: true }),
    )
    fc.assert(
      fc.property(namedTensors(small), (entries) => {
        const bytes = writeSafetensors(new Map(entries), { dtype: 'float16' })
        const back = readSafetensors(bytes, 'x').tensors
        for (const [name, tensor] of entries) {
          const stored = back.get(name)
          assert.equal(stored?.dtype, 'F16')
          for (let i = 0; i < tensor.data.length; i++) {
            // Half an unit in the last place: 2^-11 of the value, or 2^-25 among the subnormals.
            const bound = Math.max(Math.abs(tensor.data[i]) * 2 ** -11, 2 ** -25)
            assert.ok(Math.abs(tensor.data[i] - stored.data[i]) <= bound)
          }
        }
        assert.deepEqual(writeSafetensors(back, { dtype: 'float16' }), bytes)
      }),
      { numRuns: 200 },
    )
  })
})
