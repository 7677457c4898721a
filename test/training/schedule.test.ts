// Learning rates against transformers' schedules. A step of ours counts from 1 and takes the reference's factor of the
// same number; the reference counts from 0, so that its first step has rate 0 where ours has 1 / warmupSteps.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { learningRateAt } from '../../src/training/index.js'
import { readVectors } from './reference.js'

type Schedule = 'cosine' | 'linear' | 'inverse-sqrt' | 'constant'

const { cases } = readVectors<{
  readonly cases: readonly {
    readonly schedule: Schedule
    readonly warmupSteps: number
    readonly totalSteps: number
    /** The reference's counts, and its factors of the peak there. */
    readonly counts: readonly number[]
    readonly factors: readonly number[]
  }[]
}>('schedules.json')

describe('learning rate', () => {
  for (const { schedule, warmupSteps, totalSteps, counts, factors } of cases) {
    it(`${schedule} with ${warmupSteps} of ${totalSteps} steps of warm-up is the reference's`, () => {
      counts.forEach((count, i) => {
        if (count === 0) return // before our first step
        const rate = learningRateAt(count, totalSteps, { learningRate: 0.02, schedule, warmupSteps })
        // Both are float64: only the order of a few operations differs.
        assert.ok(Math.abs(rate - 0.02 * factors[i]) < 1e-15, `step ${count}: ${rate}`)
      })
    })
  }

  it('constant stays at the peak after its warm-up', () => {
    const options = { learningRate: 3, schedule: 'constant', warmupSteps: 4 } as const
    const rates = [1, 2, 3, 4, 5, 6, 99].map((step) => learningRateAt(step, 6, options))
    assert.deepEqual(rates, [0.75, 1.5, 2.25, 3, 3, 3, 3])
    assert.equal(learningRateAt(1, 6, { ...options, warmupSteps: 0 }), 3)
  })

  it('inverse-sqrt without warm-up starts at the peak and halves at the fourth step', () => {
    const options = { learningRate: 1, schedule: 'inverse-sqrt', warmupSteps: 0 } as const
    assert.deepEqual(
      [1, 4, 16].map((step) => learningRateAt(step, 99, options)),
      [1, 0.5, 0.25],
    )
  })

  it('rises through the warm-up to the peak, then never again, and stays within [0, peak]', () => {
    const setting = fc.record({
      schedule: fc.constantFrom<Schedule>('cosine', 'linear', 'inverse-sqrt', 'constant'),
      warmupSteps: fc.integer({ min: 0, max: 40 }),
      totalSteps: fc.integer({ min: 1, max: 60 }),
      learningRate: fc.double({ min: 1e-6, max: 10, noNaN: true }),
    })
    fc.assert(
      fc.property(setting, ({ totalSteps, ...options }) => {
        const { warmupSteps, learningRate } = options
        const rates = Array.from({ length: totalSteps + 3 }, (_, i) =>
          learningRateAt(i + 1, totalSteps, options),
        )
        rates.forEach((rate, i) => {
          assert.ok(rate >= 0 && rate <= learningRate * (1 + 1e-12))
          if (i === 0) return
          if (i + 1 <= warmupSteps) assert.ok(rate > rates[i - 1])
          else if (i > warmupSteps || warmupSteps > 0) assert.ok(rate <= rates[i - 1] * (1 + 1e-12))
        })
        if (warmupSteps > 0 && warmupSteps <= totalSteps) {
          assert.ok(Math.abs(rates[warmupSteps - 1] / learningRate - 1) < 1e-12)
        }
      }),
    )
  })
})
