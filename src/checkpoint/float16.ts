// Half precision: IEEE 754 binary16 and bfloat16 to float32 and back, on whole arrays. Works on the bits, so that NaN
// payloads survive; typed arrays are little-endian on every platform that JavaScript engines run on, as the files are.

/**
 * Float32 bits of each of the 65,536 half-precision patterns; made at the first use. A table read per value is several
 * times faster than arithmetic on the three cases (normal, subnormal, infinite or NaN).
 */
let float32BitsOfHalf: Uint32Array | undefined

function makeTable(): Uint32Array {
  const table = new Uint32Array(65536)
  const value = new Float32Array(1)
  const bits = new Uint32Array(value.buffer)
  for (let half = 0; half < 32768; half++) {
    const exponent = half >>> 10
    const mantissa = half & 0x3ff
    if (exponent === 0) {
      value[0] = mantissa * 2 ** -24
      table[half] = bits[0]
    } else if (exponent === 31) {
      table[half] = 0x7f800000 | (mantissa << 13)
    } else {
      table[half] = ((exponent + 112) << 23) | (mantissa << 13)
    }
    table[half | 0x8000] = (table[half] | 0x80000000) >>> 0
  }
  return table
}

/** Float32 values of half-precision bit patterns, in `target` (as long; default a new array); exact for every pattern. */
export function widenFloat16(
  halves: Uint16Array,
  target: Float32Array = new Float32Array(halves.length),
): Float32Array {
  const table = (float32BitsOfHalf ??= makeTable())
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length)
  for (let i = 0; i < bits.length; i++) bits[i] = table[halves[i]]
  return target
}

/** Float32 values of bfloat16 bit patterns (the upper half of a float32), in `target` likewise; exact. */
export function widenBfloat16(
  halves: Uint16Array,
  target: Float32Array = new Float32Array(halves.length),
): Float32Array {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length)
  for (let i = 0; i < bits.length; i++) bits[i] = halves[i] << 16
  return target
}

/**
 * Writes the nearest bfloat16 pattern of each value into `target` (as long as `values`); ties go to the even one,
 * infinities stay, a NaN stays a NaN with the upper bits of its payload.
 * Returns the index of the first finite value whose nearest bfloat16 is infinite (above about 3.39e38), else -1.
 */
export function narrowToBfloat16(values: Float32Array, target: Uint16Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  let firstOverflow = -1
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]
    if ((word & 0x7fffffff) > 0x7f800000) {
      // The quiet bit keeps a payload that lies in the lower half from becoming an infinity.
      target[i] = (word >>> 16) & 0x7f ? word >>> 16 : (word >>> 16) | 0x40
      continue
    }
    // Adding half of the last kept bit, less one where that bit is 0, rounds to even.
    target[i] = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16
    const isInfinite = (target[i] & 0x7f80) === 0x7f80
    if (isInfinite && (word & 0x7f800000) !== 0x7f800000 && firstOverflow < 0) firstOverflow = i
  }
  return firstOverflow
}

/**
 * Writes the nearest half-precision pattern of each value into `target` (as long as `values`); ties go to the even
 * one, infinities stay, a NaN stays a NaN with the upper bits of its payload.
 * Returns the index of the first finite value whose nearest half is infinite (magnitude 65520 or more), else -1.
 */
export function narrowToFloat16(values: Float32Array, target: Uint16Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  let firstOverflow = -1
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]
    const magnitude = word & 0x7fffffff
    let half: number
    if (magnitude >= 0x38800000 && magnitude < 0x477ff000) {
      // Normal: rebias the exponent by -112; adding half of the last kept bit, less one where that bit is 0, rounds.
      half = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13
    } else if (magnitude < 0x38800000) {
      half = magnitude <= 0x33000000 ? 0 : roundToSubnormal(magnitude)
    } else if (magnitude > 0x7f800000) {
      half = 0x7c00 | ((magnitude >>> 13) & 0x3ff || 0x200)
    } else {
      half = 0x7c00
      if (magnitude !== 0x7f800000 && firstOverflow < 0) firstOverflow = i
    }
    target[i] = ((word >>> 16) & 0x8000) | half
  }
  return firstOverflow
}

/** The multiple of 2^-24 nearest to a float32 in (2^-25, 2^-14), as a number of such units. */
function roundToSubnormal(magnitude: number): number {
  const significand = (magnitude & 0x7fffff) | 0x800000
  const shift = 126 - (magnitude >>> 23)
  const units = significand >>> shift
  const rest = significand & ((1 << shift) - 1)
  const middle = 1 << (shift - 1)
  return rest > middle || (rest === middle && (units & 1) === 1) ? units + 1 : units
}
