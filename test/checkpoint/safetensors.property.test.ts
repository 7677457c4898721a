// Laws of the safetensors reader and writer: round trips over random tensors, and seeded damage that is never taken
// for anything but an error or a whole file.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/index.js'
import type { Tensor, TensorData } from '../../src/checkpoint/index.js'
import { ShallowDeepError } from '../../src/errors.js'
import { Random } from '../../src/random.js'

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

  it('takes a damaged file for an error or for a whole file within its size, in 6,000 seeded mutants', () => {
    const random = new Random(20310)
    const original = writeSafetensors(
      new Map<string, Tensor>([
        ['decoder.norm', { shape: [6], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
        ['step', { shape: [30], data: new Float64Array(30).fill(12) }],
        ['ids', { shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) }],
        ['bytes', { shape: [5], data: Uint8Array.of(9, 8, 7, 6, 5) }],
      ]),
      { metadata: { format: 'pt' } },
    )
    const headerEnd = 8 + Number(Buffer.from(original).readBigUInt64LE(0))
    const outcomes = new Map<string, number>()
    for (let i = 0; i < 6000; i++) {
      const mutant = mutate(original, headerEnd, random)
      let outcome = 'read'
      try {
        const { tensors } = readSafetensors(mutant, 'mutant')
        let sizeBytes = 0
        for (const { data, shape } of tensors.values()) {
          assert.equal(
            data.length,
            shape.reduce((product, size) => product * size, 1),
          )
          sizeBytes += data.byteLength
        }
        assert.ok(sizeBytes <= 2 * mutant.length, `mutant ${i}`)
      } catch (error) {
        if (!(error instanceof ShallowDeepError))
          throw new Error(`mutant ${i}: ${String(error)}`, { cause: error })
        assert.match(error.code, /^checkpoint\./)
        outcome = error.code
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
    // The mutants must reach every kind of refusal, or this test tests little.
    const expected = [
      'bad-header',
      'bad-offsets',
      'bad-shape',
      'duplicate-name',
      'truncated',
      'unsafe-integer',
      'unsupported-dtype',
    ]
    for (const kind of expected)
      assert.ok((outcomes.get(`checkpoint.${kind}`) ?? 0) >= 5, `${kind}: ${[...outcomes].join(' ')}`)
    assert.ok((outcomes.get('read') ?? 0) >= 5)
  })
})

/** One to three damages: flipped bits, numbers and words of the header exchanged, cuts, insertions, repeated parts. */
function mutate(original: Uint8Array, headerEnd: number, random: Random): Uint8Array {
  let bytes = Uint8Array.from(original)
  const numDamages = 1 + random.integer(3)
  for (let k = 0; k < numDamages; k++) {
    const at = random.integer(bytes.length)
    const kind = random.integer(6)
    if (kind === 0) bytes[at] ^= 1 << random.integer(8)
    else if (kind === 1) bytes = bytes.slice(0, at)
    else if (kind === 2) bytes[random.integer(8)] = random.integer(256)
    else if (kind === 3)
      bytes = splice(
        bytes,
        at,
        Uint8Array.from({ length: 1 + random.integer(4) }, () => random.integer(256)),
      )
    else bytes = editHeader(bytes, headerEnd, random)
    if (bytes.length === 0) break
  }
  return bytes
}

function splice(bytes: Uint8Array, at: number, inserted: Uint8Array): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(bytes.length + inserted.length)
  result.set(bytes.subarray(0, at))
  result.set(inserted, at)
  result.set(bytes.subarray(at), at + inserted.length)
  return result
}

const WORDS = ['F64', 'F16', 'BF16', 'I64', 'U8', 'ids', 'step', 'shape', 'dtype', '__metadata__']
const NUMBERS = [
  '0',
  '-1',
  '1',
  '4',
  '8',
  '1e3',
  '0.5',
  '9007199254740993',
  '18446744073709551615',
  'null',
  '[]',
  '"1"',
]

/** Exchanges a word or number of the header and sets the header's length so that the rest stays in place. */
function editHeader(bytes: Uint8Array, headerEnd: number, random: Random): Uint8Array<ArrayBuffer> {
  const end = Math.min(headerEnd, bytes.length)
  const text = Buffer.from(bytes.subarray(8, end)).toString('latin1')
  const pattern = random.integer(2) ? /[A-Za-z_]\w*/g : /\d+/g
  const hits = [...text.matchAll(pattern)]
  if (hits.length === 0) return Uint8Array.from(bytes)
  const hit = hits[random.integer(hits.length)]
  const pool = hit[0] >= 'A' ? WORDS : NUMBERS
  const edited =
    text.slice(0, hit.index) + pool[random.integer(pool.length)] + text.slice(hit.index + hit[0].length)
  const result = Buffer.concat([Buffer.alloc(8), Buffer.from(edited, 'latin1'), bytes.subarray(end)])
  result.writeBigUInt64LE(BigInt(edited.length))
  return Uint8Array.from(result)
}
