// AdamW and Adafactor against torch.optim.AdamW and transformers' Adafactor, step by step; their state, and its errors.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import type { ShallowDeepError } from '../../src/errors.js'
import type { HostWeight } from '../../src/model/index.js'
import { Random } from '../../src/random.js'
import {
  createOptimiser,
  groupParameters,
  type Optimiser,
  type OptimiserName,
  type OptimiserOptions,
  type ParameterGroup,
} from '../../src/training/index.js'
import { onEachBackend } from './onEachBackend.js'
import { assertNear, maxAbs, readVectors } from './reference.js'

type Numbers = Readonly<Record<string, readonly number[]>>

const vectors = readVectors<{
  readonly shapes: Readonly<Record<string, number[]>>
  readonly values: Numbers
  readonly gradients: readonly Numbers[]
  readonly learningRates: readonly number[]
  readonly runs: readonly { optimiser: OptimiserName; weightDecay: number; after: readonly Numbers[] }[]
}>('optimisers.json.gz')
const names = Object.keys(vectors.shapes)
const NUM_STEPS = vectors.gradients.length

/** A rounding a step of about 6e-8, of values that the steps add up, twelve times over. */
const TOLERANCE = 2e-6

/** Parameters, their groups and an optimiser, and how a step of the vectors goes through them. */
class Bench {
  readonly variables: ReadonlyMap<string, tf.Variable>
  readonly groups: ParameterGroup[]
  readonly optimiser: Optimiser

  constructor(options: OptimiserOptions, only: readonly string[] = names) {
    this.variables = new Map(
      only.map((name) => [
        name,
        tf.tidy(() => tf.variable(tf.tensor([...vectors.values[name]], vectors.shapes[name]))),
      ]),
    )
    this.groups = groupParameters(this.variables)
    this.optimiser = createOptimiser(this.groups, options)
  }

  /** Applies the gradients of step `index` (from 0). */
  step(index: number): void {
    tf.tidy(() => {
      const gradients = this.groups.map((group) =>
        group.stack(
          Object.fromEntries(
            group.names.map((name) => [
              name,
              tf.tensor([...vectors.gradients[index][name]], vectors.shapes[name]),
            ]),
          ),
        ),
      )
      this.optimiser.update(gradients, { step: index + 1, learningRate: vectors.learningRates[index] })
    })
  }

  value(name: string): Float32Array {
    return this.variables.get(name)!.dataSync() as Float32Array
  }

  values(): Record<string, number[]> {
    return Object.fromEntries([...this.variables.keys()].map((name) => [name, [...this.value(name)]]))
  }

  dispose(): void {
    this.optimiser.dispose()
    tf.dispose([...this.variables.values()])
  }
}

/** Runs with a bench that is freed afterwards, and sees that it leaves nothing. */
async function withBench(
  options: OptimiserOptions,
  use: (bench: Bench) => void | Promise<void>,
  only?: readonly string[],
): Promise<void> {
  const { numTensors } = tf.memory()
  const bench = new Bench(options, only)
  try {
    await use(bench)
  } finally {
    bench.dispose()
  }
  assert.equal(tf.memory().numTensors, numTensors)
}

describe('optimisers', () => {
  it('the vectors hold both optimisers with and without decay, over changing rates', () => {
    assert.equal(vectors.runs.length, 4)
    assert.equal(new Set(vectors.learningRates).size > 6, true)
    assert.equal(NUM_STEPS, 12)
  })

  onEachBackend(() => {
    for (const { optimiser, weightDecay, after } of vectors.runs) {
      const options = { name: optimiser, weightDecay }
      const title = `${optimiser} with weight decay ${weightDecay}`

      it(`${title}: every parameter after every step is the reference's`, async () => {
        await withBench(options, (bench) => {
          after.forEach((expected, step) => {
            bench.step(step)
            for (const name of names) {
              assertNear(bench.value(name), expected[name], {
                tolerance: TOLERANCE,
                what: `${name} after step ${step + 1}`,
              })
            }
          })
        })
      })

      it(`${title}: the change of each step is the reference's too`, async () => {
        // A finer look than the values', which hide a small change of a large parameter: 1e-3 of the change, where the
        // rounding of the value itself (a few 6e-8 of it) leaves that much to be seen.
        await withBench(options, (bench) => {
          let [before, expectedBefore]: [Numbers, Numbers] = [vectors.values, vectors.values]
          after.forEach((expected, step) => {
            bench.step(step)
            const now = bench.values()
            for (const name of names) {
              const change = (x: Numbers, y: Numbers) => x[name].map((value, i) => value - y[name][i])
              const [actual, wanted] = [change(now, before), change(expected, expectedBefore)]
              const worst = maxAbs(actual.map((value, i) => value - wanted[i]))
              const rounding = 4e-7 * maxAbs(expected[name])
              assert.ok(
                worst <= 1e-3 * maxAbs(wanted) + rounding,
                `${name} at step ${step + 1}: ${worst} of ${maxAbs(wanted)}`,
              )
            }
            ;[before, expectedBefore] = [now, expected]
          })
        })
      })
    }

    it('adafactor: the size of a matrix of a million values is not lost in rounding', () => {
      const random = new Random(5)
      const values = Float32Array.from({ length: 1e6 }, () => random.normal())
      const size = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length)
      const variable = tf.tidy(() => tf.variable(tf.tensor2d(values, [2000, 500])))
      const optimiser = createOptimiser(groupParameters(new Map([['large', variable]])), {
        name: 'adafactor',
        weightDecay: 0,
      })
      // Equal gradients make the first direction 1 everywhere: the change is the parameter's size.
      tf.tidy(() => optimiser.update([tf.ones([1, 2000, 500])], { step: 1, learningRate: 1 }))
      const change = (variable.dataSync() as Float32Array).map((value, i) => values[i] - value)
      assertNear(change, new Float32Array(values.length).fill(size), { tolerance: 1e-5, what: 'change' })
      optimiser.dispose()
      variable.dispose()
    })

    for (const name of ['adafactor', 'adamw'] as const) {
      const options = { name, weightDecay: 0.1 }

      it(`${name}: parameters stacked together change as each alone`, async () => {
        await withBench(options, async (together) => {
          for (let step = 0; step < NUM_STEPS; step++) together.step(step)
          for (const only of names) {
            await withBench(
              options,
              (alone) => {
                for (let step = 0; step < NUM_STEPS; step++) alone.step(step)
                // Not bit for bit: the native backend's sums go in another order where a tensor is longer.
                assertNear(alone.value(only), together.value(only), { tolerance: 5e-7, what: only })
              },
              [only],
            )
          }
        })
      })

      it(`${name}: a parameter without gradients rests, and only matrices decay`, async () => {
        await withBench(options, (bench) => {
          for (let step = 0; step < NUM_STEPS; step++) bench.step(step)
          assert.deepEqual([...bench.value('still')], vectors.values.still)
          const [value, start] = [bench.value('stillMatrix'), vectors.values.stillMatrix]
          const share = value[0] / start[0]
          assert.ok(share < 1 - 1e-4, 'a matrix decays')
          value.forEach((x, i) => assert.ok(Math.abs(x / start[i] - share) < 1e-6))
        })
        await withBench({ name, weightDecay: 0 }, (bench) => {
          for (let step = 0; step < NUM_STEPS; step++) bench.step(step)
          assert.deepEqual([...bench.value('stillMatrix')], vectors.values.stillMatrix)
        })
      })

      it(`${name}: goes on from a saved state bit for bit, and not without it`, async () => {
        const half = 5
        await withBench(options, async (whole) => {
          for (let step = 0; step < half; step++) whole.step(step)
          const state = await whole.optimiser.readState()
          const saved = whole.values()
          for (let step = half; step < NUM_STEPS; step++) whole.step(step)
          const goOn = async (isRestored: boolean) => {
            let reached: Record<string, number[]> = {}
            await withBench(options, (resumed) => {
              for (const [key, variable] of resumed.variables) {
                tf.tidy(() => variable.assign(tf.tensor(saved[key], vectors.shapes[key])))
              }
              if (isRestored) resumed.optimiser.restoreState(state)
              for (let step = half; step < NUM_STEPS; step++) resumed.step(step)
              reached = resumed.values()
            })
            return reached
          }
          assert.deepEqual(await goOn(true), whole.values())
          assert.notDeepEqual(await goOn(false), whole.values())
        })
      })

      it(`${name}: a state that is not its own is refused`, async () => {
        await withBench(options, async (bench) => {
          bench.step(0)
          const state = await bench.optimiser.readState()
          const [key, weight] = [...state][state.size - 1]
          const isWrongState = (error: ShallowDeepError) =>
            error.code === 'training.wrong-state' && error.details.key === key
          const without = new Map(state)
          without.delete(key)
          const reshaped = new Map<string, HostWeight>(state)
          reshaped.set(key, { ...weight, shape: [weight.data.length] })
          for (const wrong of [without, reshaped]) {
            assert.throws(() => bench.optimiser.restoreState(wrong), isWrongState)
          }
        })
      })

      it(`${name}: a step keeps the number of tensors, and the gradients are the caller's`, async () => {
        await withBench(options, (bench) => {
          bench.step(0)
          const { numTensors } = tf.memory()
          bench.step(1)
          assert.equal(tf.memory().numTensors, numTensors)
          const gradients = bench.groups.map((group) => tf.zeros([group.names.length, ...group.shape]))
          bench.optimiser.update(gradients, { step: 3, learningRate: 0.1 })
          assert.equal(
            gradients.some((gradient) => gradient.isDisposed),
            false,
          )
          tf.dispose(gradients)
          assert.equal(tf.memory().numTensors, numTensors)
        })
      })
    }
  })
})
