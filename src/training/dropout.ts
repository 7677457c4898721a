// Dropout masks drawn in bulk. tf.dropout draws each mask in JavaScript, a second a step for a small model; here a pool
// of mask values is drawn now and then, and a mask is a slice of it at a random place: one slice, one product.
import * as tf from '@tensorflow/tfjs'
import type { Dropout } from '../model/index.js'
import { Random } from '../random.js'

const POOL_SIZE = 1 << 22
/** One pool serves this many steps. */
const STEPS_PER_POOL = 16

/** A seeded source of dropout masks. Masks depend on (seed, step) alone, so that a resumed run draws the same ones. */
export class DropoutMasks {
  /** Kept on the host for wasm, whose slice copies all of its input to the host each time. */
  private pool: tf.Tensor1D | Float32Array | undefined
  private poolNumber = -1
  private offsets = new Random(0)

  /** @param rate share of values dropped, in [0, 1); a kept value is multiplied by 1 / (1 - rate). */
  constructor(
    private readonly rate: number,
    private readonly seed: number,
  ) {}

  /** To be called before a step (counted from 0) uses {@link apply}. */
  beginStep(step: number): void {
    if (this.rate === 0) return
    const poolNumber = Math.floor(step / STEPS_PER_POOL)
    if (poolNumber !== this.poolNumber) {
      this.dispose()
      const values = this.drawPool(poolNumber)
      this.pool = tf.getBackend() === 'wasm' ? values : tf.keep(tf.tensor1d(values))
      this.poolNumber = poolNumber
    }
    this.offsets = new Random(mix(this.seed, 2 * step))
  }

  /** Drops values of a tensor. */
  readonly apply: Dropout = (x) => {
    if (this.rate === 0) return x
    return tf.tidy(() => tf.mul(x, tf.reshape(this.mask(x.size), x.shape))) as typeof x
  }

  dispose(): void {
    if (this.pool instanceof tf.Tensor) this.pool.dispose()
    this.pool = undefined
    this.poolNumber = -1
  }

  /** `size` mask values, 0 or 1 / (1 - rate); from several places where one slice would be most of the pool. */
  private mask(size: number): tf.Tensor1D {
    const slices: tf.Tensor1D[] = []
    for (let left = size; left > 0; left -= POOL_SIZE / 2) {
      const length = Math.min(left, POOL_SIZE / 2)
      slices.push(this.slice(this.offsets.integer(POOL_SIZE - length + 1), length))
    }
    return slices.length === 1 ? slices[0] : tf.concat(slices)
  }

  private slice(from: number, length: number): tf.Tensor1D {
    const pool = this.pool!
    if (pool instanceof tf.Tensor) return tf.slice(pool, [from], [length])
    return tf.tensor1d(pool.subarray(from, from + length))
  }

  private drawPool(poolNumber: number): Float32Array {
    const random = new Random(mix(this.seed, 2 * poolNumber + 1))
    const values = new Float32Array(POOL_SIZE)
    const kept = 1 / (1 - this.rate)
    const limit = Math.round(this.rate * 65536)
    for (let i = 0; i < POOL_SIZE; i += 2) {
      const bits = random.uint32() // two draws of 16 bits
      values[i] = (bits & 0xffff) < limit ? 0 : kept
      values[i + 1] = bits >>> 16 < limit ? 0 : kept
    }
    return values
  }
}

function mix(seed: number, counter: number): number {
  return (seed ^ Math.imul(counter + 1, 0x9e3779b9)) >>> 0
}
