// The training loop: that it learns, is repeatable, accumulates as one batch, and validates and saves when it is due.
// How it ends: endings.test.ts. Resuming: resume.test.ts.
import assert from 'node:assert/strict'
import type { TrainingConfig } from '../../src/config/index.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { countSteps } from '../../src/training/index.js'
import { onEachBackend } from './onEachBackend.js'
import { assertNear } from './reference.js'
import {
  copyExamples,
  scriptedValidation,
  tinyModel,
  tinyTraining,
  watch,
  weightBits,
  type Watched,
} from './tinyRun.js'

/** Trains a fresh model and returns what was seen and the weights reached. */
async function trainTiny(
  changed: Partial<TrainingConfig>,
  { dropout = 0.1, count = 12 }: { readonly dropout?: number; readonly count?: number } = {},
): Promise<Watched & { readonly weights: Record<string, number[]> }> {
  const model = tinyModel({ dropout })
  const watched = await watch({ model, examples: copyExamples(count), config: tinyTraining(changed) })
  const weights = await weightBits(model)
  model.dispose()
  return { ...watched, weights }
}

describe('training', () => {
  onEachBackend(() => {
    it('both exits learn to copy within 60 steps', async () => {
      // Twice the width, so that the task is no struggle.
      const model = tinyModel({ dModel: 16, numHeads: 4, dFf: 32, dropout: 0 })
      const config = tinyTraining({ steps: 60, batchSize: 16, learningRate: 0.05, labelSmoothing: 0 })
      const { steps } = await watch({ model, examples: copyExamples(64), config })
      model.dispose()
      const mean = (part: 'shallowLoss' | 'deepLoss', from: number) =>
        steps.slice(from, from + 6).reduce((sum, step) => sum + step[part], 0) / 6
      for (const part of ['shallowLoss', 'deepLoss'] as const) {
        assert.ok(mean(part, 54) < 0.5 * mean(part, 0), `${part}: ${mean(part, 0)} -> ${mean(part, 54)}`)
      }
    })

    it('the same seed gives the same weights bit for bit, with dropout on; another seed does not', async () => {
      const settings = { epochs: 2, batchSize: 4 }
      const first = await trainTiny(settings)
      const second = await trainTiny(settings)
      assert.deepEqual(second.weights, first.weights)
      assert.deepEqual(second.steps, first.steps)
      const other = await trainTiny({ ...settings, seed: 6 })
      assert.notDeepEqual(other.weights, first.weights)
    })

    for (const optimiser of ['adafactor', 'adamw'] as const) {
      it(`${optimiser}: small batches accumulated are one large batch, unequal as their tokens are`, async () => {
        // Two epochs of one step each, over the same twelve examples.
        const settings = { optimiser, epochs: 2, learningRate: 1e-2 }
        const none = { dropout: 0 }
        const whole = await trainTiny({ ...settings, batchSize: 12 }, none)
        assert.equal(whole.steps.length, 2)
        for (const [batchSize, accumulationSteps] of [
          [5, 3],
          [1, 12],
        ]) {
          const parts = await trainTiny({ ...settings, batchSize, accumulationSteps }, none)
          parts.steps.forEach((step, i) => {
            const numbers = (x: typeof step) => [x.loss, x.shallowLoss, x.deepLoss, x.gradientNorm]
            // Sums in another order.
            assertNear(numbers(step), numbers(whole.steps[i]), { tolerance: 2e-6, what: `step ${i}` })
            assert.equal(step.numTokens, whole.steps[i].numTokens)
          })
          for (const [name, bits] of Object.entries(whole.weights)) {
            const floats = (values: number[]) => new Float32Array(Uint32Array.from(values).buffer)
            // Both optimisers divide gradients by their size: rounding of the smallest ones is a share of a whole step.
            assertNear(floats(parts.weights[name]), floats(bits), { tolerance: 2e-4, what: name })
          }
        }
      })
    }
  })

  describe('its steps', () => {
    before(() => chooseBackend({ backend: 'wasm' }))

    it('need at least one example', async () => {
      const model = tinyModel()
      for (const changed of [{ steps: 3 }, { epochs: 1 }]) {
        await assert.rejects(watch({ model, examples: [], config: tinyTraining(changed) }), {
          code: 'training.no-examples',
        })
      }
      model.dispose()
    })

    it('are as many as epochs times batches, or as told', () => {
      const count = (changed: Partial<TrainingConfig>, numExamples: number) =>
        countSteps(tinyTraining({ batchSize: 4, ...changed }), numExamples)
      assert.equal(count({ epochs: 3 }, 12), 9)
      assert.equal(count({ epochs: 3 }, 13), 12)
      assert.equal(count({ epochs: 2, accumulationSteps: 3 }, 13), 4)
      assert.equal(count({ epochs: 0.5 }, 13), 2)
      assert.equal(count({ epochs: 3, steps: 7 }, 13), 7)
    })

    it('name their number, epoch, rate and tokens; an epoch sees every token once', async () => {
      const examples = copyExamples(11)
      const model = tinyModel()
      const config = tinyTraining({
        ...{ batchSize: 2, accumulationSteps: 2, epochs: 3 },
        ...{ schedule: 'linear', warmupSteps: 2, learningRate: 0.5 },
      })
      const { steps, end } = await watch({ model, examples, config })
      model.dispose()
      const column = <K extends keyof (typeof steps)[number]>(key: K) => steps.map((step) => step[key])
      assert.deepEqual(column('step'), [1, 2, 3, 4, 5, 6, 7, 8, 9])
      assert.deepEqual(column('epoch'), [1, 1, 1, 2, 2, 2, 3, 3, 3])
      assert.deepEqual(new Set(column('totalSteps')), new Set([9]))
      const rates = [1 / 4, 1 / 2, 3 / 7, 5 / 14, 2 / 7, 3 / 14, 1 / 7, 1 / 14, 0]
      assertNear(column('learningRate'), rates, { tolerance: 1e-12, what: 'rates' })
      const numTokens = examples.reduce((sum, { target }) => sum + target.length, 0)
      for (const epoch of [0, 3, 6]) {
        const seen = steps.slice(epoch, epoch + 3).reduce((sum, step) => sum + step.numTokens, 0)
        assert.equal(seen, numTokens)
      }
      assert.deepEqual(end!.progress, { step: 9, bestStep: 9, bestLoss: null, validation: null })
      assert.equal(end!.isInterrupted, false)
    })

    /** Losses of a model that stands still: at this rate no weight changes. */
    async function standStill(changed: Partial<TrainingConfig>, dropout: number, count: number) {
      const { steps } = await trainTiny({ learningRate: 1e-30, batchSize: 1, ...changed }, { dropout, count })
      return steps.map(({ loss }) => loss)
    }

    it('drop otherwise at each step and under each seed', async () => {
      const [first, ...others] = await standStill({ epochs: 4 }, 0, 1)
      assert.deepEqual(others, [first, first, first], 'one example, nothing dropped')
      const losses = await standStill({ epochs: 20 }, 0.3, 1)
      assert.equal(new Set(losses).size, 20)
      const [other] = await standStill({ epochs: 1, seed: 6 }, 0.3, 1)
      assert.notEqual(other, losses[0])
    })

    it('take the examples in another order each epoch and under each seed', async () => {
      const orders = async (seed: number) => {
        const losses = await standStill({ epochs: 2, seed }, 0, 9)
        return [losses.slice(0, 9), losses.slice(9)]
      }
      const [a, b, c] = [...(await orders(5)), ...(await orders(6))]
      for (const order of [b, c]) {
        assert.notDeepEqual(order, a)
        assert.deepEqual(order.toSorted(), a.toSorted())
      }
    })

    it('report the weighted total, and distillation where it is on', async () => {
      const plain = (await trainTiny({ exitWeighting: [0.3, 2] })).steps
      for (const { loss, shallowLoss, deepLoss, distillationLoss } of plain) {
        assert.ok(Math.abs(loss - (0.3 * shallowLoss + 2 * deepLoss)) < 1e-5)
        assert.equal(distillationLoss, 0)
      }
      const distilled = (await trainTiny({ distillation: 'logits', distillationWeight: 0.7 })).steps
      for (const { loss, shallowLoss, deepLoss, distillationLoss } of distilled) {
        assert.ok(distillationLoss > 0)
        assert.ok(Math.abs(loss - (shallowLoss / 4 + (3 * deepLoss) / 4 + 0.7 * distillationLoss)) < 1e-5)
      }
    })
  })

  describe('validation and saving', () => {
    before(() => chooseBackend({ backend: 'wasm' }))

    /** What happened, in order: `v4*` is a validation at step 4 that was the best, `s4*` such a checkpoint. */
    async function happenings(
      changed: Partial<TrainingConfig>,
      losses?: readonly (readonly [number, number])[],
    ): Promise<{ readonly what: string; readonly watched: Watched }> {
      const model = tinyModel({ dropout: 0 })
      const validate = losses && scriptedValidation(losses)
      const config = tinyTraining(changed)
      const watched = await watch({ model, examples: copyExamples(6), config, validate })
      model.dispose()
      const letters = { validation: 'v', saved: 's' } as const
      const what = watched.events.flatMap((event) =>
        event.type === 'validation' || event.type === 'saved'
          ? [`${letters[event.type]}${event.step}${event.isBest ? '*' : ''}`]
          : [],
      )
      return { what: what.join(' '), watched }
    }

    it('come at their intervals, at the best and at the end', async () => {
      const falling = [4, 3, 2, 1].map((loss) => [loss, loss] as const)
      const rising = [1, 2, 3, 4].map((loss) => [loss, loss] as const)
      const settings = { steps: 7, validateEvery: 2, saveEvery: 3 }
      assert.equal((await happenings(settings, falling)).what, 'v2* s2* s3 v4* s4* v6* s6* v7* s7*')
      assert.equal((await happenings(settings, rising)).what, 'v2* s2* s3 v4 v6 s6 v7 s7')
    })

    it('come once an epoch where nothing is said, and saving with validation', async () => {
      // Six examples in twos: three steps an epoch.
      const flat = [[1, 1]] as const
      assert.equal((await happenings({ epochs: 3 }, flat)).what, 'v3* s3* v6 s6 v9 s9')
      assert.equal((await happenings({ steps: 5, validateEvery: 2 }, flat)).what, 'v2* s2* v4 s4 v5 s5')
      assert.equal((await happenings({ epochs: 2, accumulationSteps: 2 }, flat)).what, 'v2* s2* v4 s4')
    })

    it('a validation that is not a number is never the best, nor in the way of one', async () => {
      const losses = [
        [NaN, NaN],
        [2, 2],
        [1, NaN],
        [1, 1],
      ] as const
      assert.equal(
        (await happenings({ steps: 4, validateEvery: 1 }, losses)).what,
        'v1 s1 v2* s2* v3 s3 v4* s4*',
      )
    })

    it('without validation the last checkpoint is the best', async () => {
      const { what, watched } = await happenings({ steps: 5, saveEvery: 2 })
      assert.equal(what, 's2* s4* s5*')
      assert.equal(watched.end!.progress.bestStep, 5)
      assert.equal(watched.end!.progress.bestLoss, null)
    })

    it('best is the lowest joint loss by layer index (1 and 3 of 4), a tie is none', async () => {
      const losses = [
        [4, 2], // 2.5
        [1, 2.4], // 2.05: worse deep, better joint
        [9, 0.1], // 2.325: better deep, worse joint
        [2.05, 2.05], // 2.05: as good
        [0, 2.7], // 2.025
        [3, 3],
      ] as const
      const { what, watched } = await happenings({ steps: 6, validateEvery: 1 }, losses)
      assert.equal(what, 'v1* s1* v2* s2* v3 s3 v4 s4 v5* s5* v6 s6')
      const { step, bestStep, bestLoss, validation } = watched.end!.progress
      assert.deepEqual([step, bestStep, validation!.deep.loss], [6, 5, 3])
      assert.ok(Math.abs(bestLoss! - 2.025) < 1e-12)
      assert.deepEqual(
        watched.snapshots.map(({ progress, isBest }) => [progress.step, progress.bestStep, isBest]),
        [
          [1, 1, true],
          [2, 2, true],
          [3, 2, false],
          [4, 2, false],
          [5, 5, true],
          [6, 5, false],
        ],
      )
    })
  })
})
