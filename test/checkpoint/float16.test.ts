// Half precision against the definition of the format, over every bit pattern.
import assert from 'node:assert/strict'
import { narrowToBfloat16, narrowToFloat16, widenBfloat16, widenFloat16 } from '../../src/checkpoint/index.js'
import { Random } from '../../src/random.js'

const ALL_HALVES = Uint16Array.from({ length: 65536 }, (_, i) => i)

/** The value of a half by the definition, in double precision. */
function valueOfHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 31
  const mantissa = half & 0x3ff
  if (exponent === 31) return mantissa ? NaN : sign * Infinity
  return sign * (exponent ? (1 + mantissa / 1024) * 2 ** (exponent - 15) : (mantissa / 1024) * 2 ** -14)
}

function narrow(values: readonly number[]): { halves: Uint16Array; overflow: number } {
  const halves = new Uint16Array(values.length)
  const overflow = narrowToFloat16(Float32Array.from(values), halves)
  return { halves, overflow }
}

describe('float16', () => {
  it('widens each of the 65,536 halves to its value exactly', () => {
    const values = widenFloat16(ALL_HALVES)
    for (let half = 0; half < 65536; half++)
      assert.ok(Object.is(values[half], valueOfHalf(half)), `half ${half}`)
  })

  it('narrows each widened half back to itself, NaN payloads included', () => {
    const halves = new Uint16Array(65536)
    assert.equal(narrowToFloat16(widenFloat16(ALL_HALVES), halves), -1)
    assert.deepEqual(halves, ALL_HALVES)
  })

  it('rounds to the nearest half around the middle of each pair of neighbours, ties to even', () => {
    const bits = new Uint32Array(1)
    const float = new Float32Array(bits.buffer)
    for (let half = 0; half < 0x7bff; half++) {
      // The middle of two neighbouring halves is a float32, and so are its own neighbours.
      float[0] = (valueOfHalf(half) + valueOfHalf(half + 1)) / 2
      const middle = bits[0]
      const values = [-1, 0, 1].map((step) => ((bits[0] = middle + step), float[0]))
      const { halves } = narrow([...values, ...values.map((value) => -value)])
      const even = half % 2 === 0 ? half : half + 1
      const expected = [half, even, half + 1]
      assert.deepEqual([...halves], [...expected, ...expected.map((item) => item | 0x8000)], `half ${half}`)
    }
  })

  it('reports the first finite value beyond the largest half and keeps infinities', () => {
    assert.deepEqual(narrow([1, 65504, 65519, Infinity, -Infinity]).overflow, -1)
    assert.deepEqual([...narrow([65519.99, Infinity, -Infinity]).halves], [0x7bff, 0x7c00, 0xfc00])
    assert.equal(narrow([1, 65519, 65520, 1e30]).overflow, 2)
    assert.equal(narrow([0, -3.4e38]).overflow, 1)
  })

  it('makes the smallest values zero of the same sign', () => {
    assert.deepEqual([...narrow([2 ** -25, -(2 ** -25), 1.4e-45, -1.4e-45]).halves], [0, 0x8000, 0, 0x8000])
    assert.deepEqual([...narrow([2 ** -25 * (1 + 2 ** -23)]).halves], [1])
  })

  it('keeps a NaN a NaN when its payload lies in the dropped bits', () => {
    const value = new Float32Array(Uint32Array.of(0x7f800001, 0xff800001).buffer)
    const halves = new Uint16Array(2)
    assert.equal(narrowToFloat16(value, halves), -1)
    assert.deepEqual([...halves], [0x7e00, 0xfe00])
  })

  it('converts eight million values in well under a second', () => {
    const random = new Random(5)
    const values = Float32Array.from({ length: 1 << 20 }, () => random.normal() * 0.05)
    const halves = new Uint16Array(values.length)
    const start = process.cpuUsage()
    for (let i = 0; i < 8; i++) {
      narrowToFloat16(values, halves)
      widenFloat16(halves)
    }
    const { user } = process.cpuUsage(start)
    // Measured 0.1 s; the bound leaves room for a busy machine and still fails a conversion by DataView and Math.pow.
    assert.ok(user < 1e6, `took ${user / 1e6} s`)
  })
})

describe('bfloat16', () => {
  it('widens each of the 65,536 patterns to the float32 with these upper bits', () => {
    const values = widenBfloat16(ALL_HALVES)
    const bits = new Uint32Array(values.buffer)
    for (let half = 0; half < 65536; half++) assert.equal(bits[half], half * 65536)
  })

  it('narrows each widened pattern back to itself, NaN payloads included', () => {
    const halves = new Uint16Array(65536)
    assert.equal(narrowToBfloat16(widenBfloat16(ALL_HALVES), halves), -1)
    assert.deepEqual(halves, ALL_HALVES)
  })

  it('rounds to the nearest pattern, ties to even, and keeps a NaN whose payload lies below', () => {
    const bits = new Uint32Array(1)
    const float = new Float32Array(bits.buffer)
    const narrowBits = (word: number) => {
      bits[0] = word
      const target = new Uint16Array(1)
      return { half: (narrowToBfloat16(float, target), target[0]), overflow: narrowToBfloat16(float, target) }
    }
    for (const sign of [0, 0x8000]) {
      for (let half = 0; half < 0x7f7f; half += 7) {
        const word = (sign | half) * 65536
        const even = half % 2 === 0 ? half : half + 1
        const halves = [0x7fff, 0x8000, 0x8001].map((rest) => narrowBits(word + rest).half)
        assert.deepEqual(halves, [sign | half, sign | even, sign | (half + 1)], `pattern ${half}`)
      }
    }
    assert.deepEqual(narrowBits(0x7f800001), { half: 0x7fc0, overflow: -1 })
    assert.deepEqual(narrowBits(0xff800000), { half: 0xff80, overflow: -1 })
    assert.deepEqual(narrowBits(0x7f7f7fff), { half: 0x7f7f, overflow: -1 })
    assert.deepEqual(narrowBits(0xff7fffff), { half: 0xff80, overflow: 0 })
  })
})
