// Reading and writing safetensors: the reference's files, each refusal, and equal bytes for equal tensors.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { readSafetensors, writeSafetensors } from '../../src/checkpoint/index.js'
import type { Tensor } from '../../src/checkpoint/index.js'
import { ShallowDeepError } from '../../src/errors.js'

const GOLDEN = new URL('../golden/t5-parity/', import.meta.url)

/** A file with this header (text or object) and so many data bytes. */
function file(header: unknown, data: number | Uint8Array = 0): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Uint8Array.from(Buffer.concat([length, text, typeof data === 'number' ? Buffer.alloc(data) : data]))
}

function assertRefused(bytes: Uint8Array, code: string): void {
  assert.throws(
    () => readSafetensors(bytes, 'model.safetensors'),
    (error) => {
      assert.ok(error instanceof ShallowDeepError, String(error))
      assert.equal(error.code, code, error.message)
      assert.match(error.message, /^model\.safetensors: [^\n]+$/)
      return true
    },
  )
}

const f32 = (begin: number, end: number, shape: unknown = [Math.abs(end - begin) / 4]) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
})

describe('readSafetensors', () => {
  it('reads a file of the reference implementation, to the bit', () => {
    const bytes = readFileSync(new URL('v10/model.safetensors', GOLDEN))
    const { tensors, metadata } = readSafetensors(bytes, 'v10')
    assert.deepEqual(metadata, { format: 'pt' })
    const headerBytes = Number(bytes.readBigUInt64LE(0))
    const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString()) as Record<
      string,
      ReturnType<typeof f32>
    >
    delete header['__metadata__']
    assert.deepEqual(new Set(tensors.keys()), new Set(Object.keys(header)))
    for (const [name, { shape, data_offsets: offsets }] of Object.entries(header)) {
      const tensor = tensors.get(name)
      assert.deepEqual(tensor?.shape, shape)
      assert.equal(tensor?.dtype, 'F32')
      const raw = bytes.subarray(8 + headerBytes + offsets[0], 8 + headerBytes + offsets[1])
      for (let i = 0; i < raw.length; i += 4) assert.equal(tensor?.data[i / 4], raw.readFloatLE(i), name)
    }
  })

  it('reads from any offset of a buffer and copies', () => {
    const plain = file({ a: f32(0, 8) }, Uint8Array.of(0, 0, 128, 63, 0, 0, 0, 64))
    const shifted = new Uint8Array(plain.length + 1)
    shifted.set(plain, 1)
    const { tensors } = readSafetensors(shifted.subarray(1), 'x')
    shifted.fill(0)
    assert.deepEqual(tensors.get('a')?.data, Float32Array.of(1, 2))
  })

  it('widens float16 and bfloat16, and keeps integers as they are', () => {
    const header = {
      half: { dtype: 'F16', shape: [2], data_offsets: [0, 4] },
      brain: { dtype: 'BF16', shape: [1, 2], data_offsets: [4, 8] },
      word: { dtype: 'I32', shape: [], data_offsets: [8, 12] },
      byte: { dtype: 'U8', shape: [3], data_offsets: [12, 15] },
      long: { dtype: 'I64', shape: [1], data_offsets: [15, 23] },
    }
    const data = Uint8Array.of(
      1,
      0,
      0,
      0xbc,
      0x80,
      0x3f,
      0x80,
      0xff,
      0xfe,
      255,
      255,
      255,
      7,
      8,
      255,
      253,
      255,
      255,
      255,
    )
    const { tensors } = readSafetensors(file(header, Uint8Array.of(...data, 255, 255, 255, 255)), 'x')
    assert.deepEqual(tensors.get('half')?.data, Float32Array.of(2 ** -24, -1))
    assert.deepEqual(tensors.get('brain'), {
      dtype: 'BF16',
      shape: [1, 2],
      data: Float32Array.of(1, -Infinity),
    })
    assert.deepEqual(tensors.get('word')?.data, Int32Array.of(-2))
    assert.deepEqual(tensors.get('byte')?.data, Uint8Array.of(7, 8, 255))
    assert.deepEqual(tensors.get('long')?.data, Float64Array.of(-3))
  })

  it('accepts a file without tensors, tensors without elements, and padding after the header', () => {
    assert.equal(readSafetensors(file('{}'), 'x').tensors.size, 0)
    const { tensors } = readSafetensors(
      file('{"a":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]}}   '),
      'x',
    )
    assert.deepEqual(tensors.get('a')?.shape, [0, 7])
  })

  it('takes a tensor named __proto__ for what it is: a tensor', () => {
    const bytes = file('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1)
    assert.deepEqual([...readSafetensors(bytes, 'x').tensors.keys()], ['__proto__'])
  })

  const whole = file({ a: f32(0, 8) }, 8)
  const huge = (bytes: readonly number[]) => Uint8Array.of(...bytes, ...whole.subarray(8))
  const refusals: readonly (readonly [string, Uint8Array, string])[] = [
    ['an empty file', new Uint8Array(0), 'checkpoint.truncated'],
    ['a file of seven bytes', new Uint8Array(7), 'checkpoint.truncated'],
    ['a header that ends beyond the file', whole.subarray(0, 20), 'checkpoint.truncated'],
    ['data that end beyond the file', whole.subarray(0, whole.length - 1), 'checkpoint.truncated'],
    ['a header length of 2^64 - 1', huge([255, 255, 255, 255, 255, 255, 255, 255]), 'checkpoint.bad-header'],
    ['a header length of 2^40', huge([0, 0, 0, 0, 0, 1, 0, 0]), 'checkpoint.bad-header'],
    ['a header length of 90 MB that is not there', huge([0, 0, 90, 5, 0, 0, 0, 0]), 'checkpoint.truncated'],
    ['a header of no bytes', new Uint8Array(8), 'checkpoint.bad-header'],
    ['a header that does not begin with a brace', file(' {}'), 'checkpoint.bad-header'],
    ['a byte order mark', file('\ufeff{}'), 'checkpoint.bad-header'],
    ['a header that is no JSON', file('{"a":'), 'checkpoint.bad-header'],
    ['a header that is no UTF-8', file('{"a":{}}').with(10, 0xff), 'checkpoint.bad-header'],
    ['nesting by the million', file(`{"a":${'['.repeat(1_000_000)}`), 'checkpoint.bad-header'],
    ['an entry that is no object', file({ a: [1] }), 'checkpoint.bad-header'],
    ['an entry that is null', file({ a: null }), 'checkpoint.bad-header'],
    ['an entry with a stray key', file({ a: { ...f32(0, 4), x: 1 } }, 4), 'checkpoint.bad-header'],
    ['metadata of numbers', file({ __metadata__: { a: 1 } }), 'checkpoint.bad-header'],
    ['metadata that is a list', file({ __metadata__: ['a'] }), 'checkpoint.bad-header'],
    [
      'a name given twice',
      file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{}}'),
      'checkpoint.duplicate-name',
    ],
    [
      'a key of an entry given twice',
      file('{"a":{"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]}}'),
      'checkpoint.duplicate-name',
    ],
    ['an unknown dtype', file({ a: { ...f32(0, 4), dtype: 'F8_E4M3' } }, 4), 'checkpoint.unsupported-dtype'],
    [
      'a dtype named like a method',
      file({ a: { ...f32(0, 4), dtype: 'toString' } }, 4),
      'checkpoint.unsupported-dtype',
    ],
    ['no dtype', file({ a: { shape: [1], data_offsets: [0, 4] } }, 4), 'checkpoint.unsupported-dtype'],
    ['a negative size', file({ a: f32(0, 4, [-1, -1]) }, 4), 'checkpoint.bad-shape'],
    ['a fractional size', file({ a: f32(0, 4, [0.5, 2]) }, 4), 'checkpoint.bad-shape'],
    ['a size that is a string', file({ a: f32(0, 4, ['1']) }, 4), 'checkpoint.bad-shape'],
    ['no shape', file({ a: { dtype: 'F32', data_offsets: [0, 4] } }, 4), 'checkpoint.bad-shape'],
    ['a product beyond 2^53', file({ a: f32(0, 4, [2 ** 40, 2 ** 40]) }, 4), 'checkpoint.bad-shape'],
    ['a size beyond 2^53', file({ a: f32(0, 4, [1e300]) }, 4), 'checkpoint.bad-shape'],
    [
      'a shape that takes more than its offsets span',
      file({ a: f32(0, 4, [2]) }, 4),
      'checkpoint.bad-offsets',
    ],
    ['a shape of a terabyte', file({ a: f32(0, 4, [2 ** 38]) }, 4), 'checkpoint.bad-offsets'],
    ['offsets that fall', file({ a: f32(4, 0) }, 4), 'checkpoint.bad-offsets'],
    ['negative offsets', file({ a: f32(-4, 0) }, 4), 'checkpoint.bad-offsets'],
    ['one offset', file({ a: { ...f32(0, 4), data_offsets: [4] } }, 4), 'checkpoint.bad-offsets'],
    ['three offsets', file({ a: { ...f32(0, 4), data_offsets: [0, 4, 4] } }, 4), 'checkpoint.bad-offsets'],
    ['no offsets', file({ a: { dtype: 'F32', shape: [1] } }, 4), 'checkpoint.bad-offsets'],
    ['offsets beyond the data', file({ a: f32(0, 8) }, 4), 'checkpoint.truncated'],
    ['overlapping tensors', file({ a: f32(0, 8), b: f32(4, 12) }, 12), 'checkpoint.bad-offsets'],
    ['two names for the same bytes', file({ a: f32(0, 8), b: f32(0, 8) }, 8), 'checkpoint.bad-offsets'],
    ['a hole', file({ a: f32(0, 4), b: f32(8, 12) }, 12), 'checkpoint.bad-offsets'],
    ['a hole at the start', file({ a: f32(4, 8) }, 8), 'checkpoint.bad-offsets'],
    ['bytes after the last tensor', file({ a: f32(0, 4) }, 5), 'checkpoint.bad-offsets'],
    [
      'an I64 beyond 2^53',
      file({ a: { dtype: 'I64', shape: [1], data_offsets: [0, 8] } }, Uint8Array.of(1, 0, 0, 0, 0, 0, 32, 0)),
      'checkpoint.unsafe-integer',
    ],
  ]
  for (const [what, bytes, code] of refusals) {
    it(`refuses ${what} with ${code}`, () => assertRefused(bytes, code))
  }

  it('refuses each proper prefix of a file', () => {
    const bytes = writeSafetensors(new Map([['a', { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) }]]))
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => readSafetensors(bytes.subarray(0, length), 'x'), ShallowDeepError)
    }
  })

  it('keeps a name with line breaks from breaking the message', () => {
    assertRefused(file({ ['a\nb'.repeat(5000)]: f32(4, 0) }), 'checkpoint.bad-offsets')
  })
})

describe('writeSafetensors', () => {
  const float = (...values: number[]): Tensor => ({ shape: [values.length], data: Float32Array.from(values) })

  it('writes the bytes that the format asks for', () => {
    const bytes = writeSafetensors(
      new Map([
        ['b', float(1)],
        ['a', float(2)],
      ]),
      { metadata: { format: 'pt' } },
    )
    const header =
      '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' +
      '"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}'
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8)
    const data = new Uint8Array(Float32Array.of(2, 1).buffer)
    assert.deepEqual(bytes, file(padded, data))
  })

  it('gives equal bytes whatever the order of the tensors and metadata', () => {
    const entries: [string, Tensor][] = [
      ['10', float(1)],
      ['9', { shape: [1], data: Uint8Array.of(1) }],
      ['x', { shape: [1], data: Float64Array.of(5) }],
    ]
    const first = writeSafetensors(new Map(entries), { metadata: { a: '1', b: '2' } })
    assert.deepEqual(writeSafetensors(new Map(entries.toReversed()), { metadata: { b: '2', a: '1' } }), first)
  })

  it('aligns each tensor to its element size', () => {
    const tensors = new Map<string, Tensor>([
      ['a', { shape: [3], data: Uint8Array.of(1, 2, 3) }],
      ['b', float(1)],
      ['c', { shape: [1], data: Float64Array.of(7) }],
    ])
    const bytes = writeSafetensors(tensors)
    const headerBytes = Number(Buffer.from(bytes).readBigUInt64LE(0))
    assert.equal(headerBytes % 8, 0)
    const header = JSON.parse(Buffer.from(bytes.subarray(8, 8 + headerBytes)).toString()) as Record<
      string,
      { data_offsets: number[] }
    >
    assert.deepEqual(
      [header.c.data_offsets, header.b.data_offsets, header.a.data_offsets],
      [
        [0, 8],
        [8, 12],
        [12, 15],
      ],
    )
  })

  it('refuses values that overflow float16, naming the tensor', () => {
    assert.throws(
      () =>
        writeSafetensors(
          new Map([
            ['fine', float(1)],
            ['large', float(1, -70000)],
          ]),
          { dtype: 'float16' },
        ),
      (error) =>
        error instanceof ShallowDeepError &&
        error.code === 'checkpoint.float16-overflow' &&
        error.details['name'] === 'large' &&
        error.details['index'] === 1 &&
        error.message.includes('"large"'),
    )
  })

  it('refuses data that do not fill their shape, reserved names and integers that are none', () => {
    const cases: [Map<string, Tensor>, string][] = [
      [new Map([['a', { shape: [3], data: Float32Array.of(1) }]]), 'checkpoint.bad-tensor'],
      [new Map([['a', { shape: [-1], data: Float32Array.of(1) }]]), 'checkpoint.bad-tensor'],
      [new Map([['__metadata__', float(1)]]), 'checkpoint.bad-tensor'],
      [new Map([['a\ud800', float(1)]]), 'checkpoint.bad-tensor'],
      [new Map([['a', { shape: [1], data: Float64Array.of(0.5) }]]), 'checkpoint.unsafe-integer'],
    ]
    for (const [tensors, code] of cases) assert.throws(() => writeSafetensors(tensors), { code })
    assert.throws(() => writeSafetensors(new Map(), { metadata: { a: '\udc00' } }), {
      code: 'checkpoint.bad-metadata',
    })
  })
})
