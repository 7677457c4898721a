// Dropout masks drawn in bulk: their statistics, what they depend on, their gradient, and that nothing is left behind.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { DropoutMasks } from '../../src/training/index.js'
import { onEachBackend } from './onEachBackend.js'

/** Frees masks after use, and sees that they leave nothing. */
function withMasks(rate: number, seed: number, use: (masks: DropoutMasks) => void): void {
  const { numTensors } = tf.memory()
  const masks = new DropoutMasks(rate, seed)
  try {
    use(masks)
  } finally {
    masks.dispose()
  }
  assert.equal(tf.memory().numTensors, numTensors)
}

/** One mask as it falls on ones. */
function draw(masks: DropoutMasks, size: number): Float32Array {
  return tf.tidy(() => masks.apply(tf.ones([size])).dataSync() as Float32Array)
}

/** The first two masks of a step, of `size` values each. */
function drawStep(options: { rate: number; seed: number; step: number; size: number }): Float32Array[] {
  const drawn: Float32Array[] = []
  withMasks(options.rate, options.seed, (masks) => {
    masks.beginStep(options.step)
    drawn.push(draw(masks, options.size), draw(masks, options.size))
  })
  return drawn
}

/** Correlation of two series of equal length. */
function correlation(x: Float32Array, y: Float32Array): number {
  const mean = (values: Float32Array) => values.reduce((a, b) => a + b, 0) / values.length
  const [mx, my] = [mean(x), mean(y)]
  let [xy, xx, yy] = [0, 0, 0]
  for (let i = 0; i < x.length; i++) {
    xy += (x[i] - mx) * (y[i] - my)
    xx += (x[i] - mx) ** 2
    yy += (y[i] - my) ** 2
  }
  return xy / Math.sqrt(xx * yy)
}

/** The pool has 2^22 values (src/training/dropout.ts); five million are more. */
const MORE_THAN_POOL = 5_000_000
const SIZE = 100_000
/** Five standard errors of a mean of independent values. */
const fiveErrors = (deviation: number, count: number) => (5 * deviation) / Math.sqrt(count)

describe('dropout masks', () => {
  onEachBackend(() => {
    for (const rate of [0.05, 0.1, 0.5, 0.9]) {
      it(`rate ${rate}: that share is dropped, the rest scaled by 1 / (1 - rate), the mean kept`, () => {
        withMasks(rate, 3, (masks) => {
          masks.beginStep(7)
          const mask = draw(masks, SIZE)
          const dropped = mask.filter((value) => value === 0).length
          const bound = fiveErrors(Math.sqrt(rate * (1 - rate)), SIZE)
          assert.ok(Math.abs(dropped / SIZE - rate) < bound, `dropped ${dropped}`)
          const kept = Math.fround(1 / (1 - rate))
          assert.ok(mask.every((value) => value === 0 || value === kept))
          const mean = mask.reduce((a, b) => a + b, 0) / SIZE
          assert.ok(Math.abs(mean - 1) < bound / (1 - rate), `mean ${mean}`)
        })
      })
    }

    it('rate 0 gives back the very tensor and draws no pool', () => {
      withMasks(0, 1, (masks) => {
        const { numTensors } = tf.memory()
        masks.beginStep(0)
        const x = tf.ones([3])
        assert.equal(masks.apply(x), x)
        assert.equal(tf.memory().numTensors, numTensors + 1)
        x.dispose()
      })
    })

    it('masks depend on seed and step alone, whatever was drawn before', () => {
      const setting = { rate: 0.3, seed: 11, size: 999 }
      for (const step of [0, 15, 16]) {
        const alone = drawStep({ ...setting, step })
        withMasks(setting.rate, setting.seed, (masks) => {
          // Steps before and after it, in other pools too, with more masks than it takes itself.
          for (const earlier of [33, step + 1]) {
            masks.beginStep(earlier)
            for (let i = 0; i < 3; i++) draw(masks, 1234)
          }
          masks.beginStep(step)
          assert.deepEqual([draw(masks, 999), draw(masks, 999)], alone, `step ${step}`)
        })
      }
    })

    it('another seed, another step and the next mask of a step are other masks', () => {
      const setting = { rate: 0.5, seed: 1, step: 4, size: 999 }
      const [first, second] = drawStep(setting)
      assert.notDeepEqual(second, first)
      for (const changed of [{ seed: 2 }, { seed: 0 }, { step: 5 }, { step: 4 + 16 }, { step: 0 }]) {
        const [other] = drawStep({ ...setting, ...changed })
        assert.notDeepEqual(other, first, JSON.stringify(changed))
      }
    })

    it('masks are uncorrelated: with each other, over steps and seeds, and place by place', () => {
      const setting = { rate: 0.1, seed: 21, step: 2, size: SIZE }
      const [mask, next] = drawStep(setting)
      const others: Record<string, Float32Array> = {
        'next mask': next,
        'next step': drawStep({ ...setting, step: 3 })[0],
        'same place of the next pool': drawStep({ ...setting, step: 18 })[0],
        'next seed': drawStep({ ...setting, seed: 22 })[0],
      }
      const bound = fiveErrors(1, SIZE)
      for (const [name, other] of Object.entries(others)) {
        const found = correlation(mask, other)
        assert.ok(Math.abs(found) < bound, `${name}: ${found}`)
      }
      // Neighbours within a mask; two values come from one random word.
      for (const lag of [1, 2, 3, 64]) {
        const found = correlation(mask.subarray(lag), mask.subarray(0, SIZE - lag))
        assert.ok(Math.abs(found) < fiveErrors(1, SIZE - lag), `lag ${lag}: ${found}`)
      }
    })

    it('masks are the same on every backend', () => {
      // Written down, so that what a training drops cannot change silently between two versions either.
      const [mask] = drawStep({ rate: 0.5, seed: 7, step: 3, size: 24 })
      assert.equal(mask.map((value) => value / 2).join(''), '001000111000110001001101')
    })

    it('masks of a step lie at many places: a hundred of them are a hundred', () => {
      withMasks(0.5, 8, (masks) => {
        masks.beginStep(1)
        const seen = new Set(Array.from({ length: 100 }, () => draw(masks, 64).join()))
        assert.equal(seen.size, 100)
      })
    })

    it('the gradient is the mask', () => {
      withMasks(0.4, 5, (masks) => {
        masks.beginStep(9)
        tf.tidy(() => {
          const x = tf.randomNormal([7, 11], 0, 1, 'float32', 1)
          let value: tf.Tensor | undefined
          const dy = tf.range(1, 78).reshape([7, 11])
          const gradient = tf.grad((input) => {
            value = tf.keep(masks.apply(input))
            return value
          })(x, dy)
          const mask = tf.div(value!, x)
          const worst = tf.max(tf.abs(tf.sub(gradient, tf.mul(mask, dy)))).dataSync()[0]
          assert.ok(worst < 1e-4, `off by ${worst}`)
          const zeros = (t: tf.Tensor) => Array.from(t.dataSync(), (v) => v === 0)
          assert.deepEqual(zeros(gradient), zeros(value!))
          value!.dispose()
        })
      })
    })

    it('a tensor larger than the pool is dropped all over', () => {
      withMasks(0.2, 2, (masks) => {
        masks.beginStep(0)
        const mask = draw(masks, MORE_THAN_POOL)
        assert.equal(mask.length, MORE_THAN_POOL)
        const part = 250_000
        for (let start = 0; start < MORE_THAN_POOL; start += part) {
          let dropped = 0
          for (let i = start; i < start + part; i++) if (mask[i] === 0) dropped++
          assert.ok(Math.abs(dropped / part - 0.2) < fiveErrors(0.4, part), `from ${start}: ${dropped}`)
        }
      })
    })

    it('shapes are kept, inputs are left alone, and a step leaves nothing but the one pool', () => {
      withMasks(0.5, 6, (masks) => {
        const x = tf.ones([2, 3, 4, 5])
        const counts = new Set<number>()
        for (const step of [0, 1, 15, 16, 17, 32]) {
          masks.beginStep(step)
          const y = masks.apply(x)
          assert.deepEqual(y.shape, [2, 3, 4, 5])
          y.dispose()
          counts.add(tf.memory().numTensors)
        }
        assert.equal(counts.size, 1)
        assert.equal(x.isDisposed, false)
        x.dispose()
      })
    })

    it('freed masks can be taken up again and are the same', () => {
      withMasks(0.5, 6, (masks) => {
        masks.beginStep(3)
        const mask = draw(masks, 50)
        masks.dispose()
        masks.dispose()
        masks.beginStep(3)
        assert.deepEqual(draw(masks, 50), mask)
      })
    })
  })
})
