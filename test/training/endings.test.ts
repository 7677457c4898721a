// How a training ends: on what is not a number, on a signal, by an error; and that nothing is left behind, however it does.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import type { ShallowDeepError } from '../../src/errors.js'
import { isRecording, type ShallowDeepModel } from '../../src/model/index.js'
import { train } from '../../src/training/index.js'
import { onEachBackend } from './onEachBackend.js'
import { copyExamples, scriptedValidation, tinyModel, tinyTraining, watch, weightBits } from './tinyRun.js'

describe('the end of a training', () => {
  describe('what is not a number', () => {
    before(() => chooseBackend({ backend: 'wasm' }))

    /** Spoils a weight after step 2 of a training; returns the error, the weights it found and those it left. */
    async function spoil(weight: string, value: number) {
      const model = tinyModel()
      const { numTensors } = tf.memory()
      let found: Record<string, number[]> | undefined
      const saved: number[] = []
      const training = watch(
        {
          model,
          examples: copyExamples(12),
          config: tinyTraining({ saveEvery: 1 }),
          save: async ({ progress }) => void saved.push(progress.step),
        },
        async (event) => {
          if (event.type !== 'saved' || event.step !== 2) return
          const variable = model.variables.get(weight)!
          tf.tidy(() => variable.assign(tf.fill(variable.shape, value)))
          found = await weightBits(model)
        },
      )
      const error = await training.then(
        () => assert.fail('trained on'),
        (reason: unknown) => reason as ShallowDeepError,
      )
      assert.equal(tf.memory().numTensors, numTensors)
      const left = await weightBits(model)
      model.dispose()
      return { error, found, left, saved }
    }

    for (const [what, weight, value] of [
      ['a weight that is none', 'decoder.1.crossAttention.value', NaN],
      ['an infinite weight', 'decoder.finalNorm', Infinity],
      // The loss is some 1e20, but the square of its gradient is beyond float32.
      ['a gradient that overflows under a finite loss', 'decoder.finalNorm', 1e20],
    ] as const) {
      it(`${what}: stops at once, with the step, and leaves weights and checkpoints as they were`, async () => {
        const { error, found, left, saved } = await spoil(weight, value)
        assert.equal(error.code, 'training.not-finite')
        assert.equal(error.kind, 'failure')
        assert.equal(error.details.step, 3)
        const { loss, gradientNorm } = error.details as { loss: number; gradientNorm: number }
        assert.equal(Number.isFinite(loss), value === 1e20)
        assert.equal(Number.isFinite(gradientNorm), false)
        assert.match(error.message, /^step 3: [^\n]*$/)
        assert.deepEqual(left, found)
        assert.deepEqual(saved, [1, 2])
      })
    }
  })

  describe('a signal', () => {
    before(() => chooseBackend({ backend: 'wasm' }))

    const settings = { steps: 9, validateEvery: 4, saveEvery: 4 }

    /** Aborts at the first event that fits. */
    async function abortAt(
      fits: (type: string, step: number) => boolean,
      where: 'event' | 'validate' | 'save',
    ) {
      const controller = new AbortController()
      const model = tinyModel()
      let step = 0
      const at = (type: string) => {
        if (fits(type, step)) controller.abort()
      }
      const measure = scriptedValidation([[1, 1]])
      const watched = await watch(
        {
          model,
          examples: copyExamples(12),
          config: tinyTraining(settings),
          signal: controller.signal,
          validate: async () => {
            if (where === 'validate') at('validate')
            return measure()
          },
          save: async () => {
            if (where === 'save') at('save')
          },
        },
        (event) => {
          if (event.type === 'step') step = event.step
          if (where === 'event') at(event.type)
        },
      )
      model.dispose()
      return watched
    }

    for (const [moment, where, type, step] of [
      ['at a step', 'event', 'step', 2],
      ['at the end of an epoch', 'event', 'step', 6],
      ['while validating', 'validate', 'validate', 4],
      ['while saving', 'save', 'save', 4],
      ['after saving', 'event', 'saved', 4],
    ] as const) {
      it(`${moment}: the step under way is the last, is saved, and the end says so`, async () => {
        const { steps, snapshots, end } = await abortAt((t, s) => t === type && s === step, where)
        assert.deepEqual(steps.at(-1)!.step, step)
        assert.equal(snapshots.at(-1)!.progress.step, step)
        assert.equal(snapshots.filter(({ progress }) => progress.step === step).length, 1)
        assert.deepEqual([end!.isInterrupted, end!.progress.step], [true, step])
      })
    }

    it('at the very last step interrupts nothing', async () => {
      const { end, snapshots } = await abortAt((type, step) => type === 'step' && step === 9, 'event')
      assert.equal(end!.isInterrupted, false)
      assert.equal(snapshots.at(-1)!.progress.step, 9)
    })

    it('given before the start ends it without a step', async () => {
      const model = tinyModel()
      const config = tinyTraining()
      const { events } = await watch({
        model,
        examples: copyExamples(4),
        config,
        signal: AbortSignal.abort(),
      })
      model.dispose()
      assert.deepEqual(
        events.map(({ type }) => type),
        ['end'],
      )
    })

    it('from a timer arrives while training, though every operation is synchronous', async () => {
      const controller = new AbortController()
      setTimeout(() => controller.abort(), 1)
      const model = tinyModel()
      const config = tinyTraining({ steps: 500 })
      const { end } = await watch({ model, examples: copyExamples(4), config, signal: controller.signal })
      model.dispose()
      assert.ok(end!.isInterrupted && end!.progress.step < 500)
    })
  })

  describe('memory', () => {
    onEachBackend(() => {
      /** How many tensors a training leaves behind. */
      async function leftBy(use: (model: ShallowDeepModel) => Promise<unknown>): Promise<number> {
        const model = tinyModel()
        const { numTensors } = tf.memory()
        await use(model)
        const left = tf.memory().numTensors - numTensors
        model.dispose()
        return left
      }
      const examples = copyExamples(8)
      const config = tinyTraining({ accumulationSteps: 2, distillation: 'logits' })
      const fails = (promise: Promise<unknown>, message: RegExp) => assert.rejects(promise, message)

      it('nothing is left when it finishes', async () => {
        assert.equal(await leftBy((model) => watch({ model, examples, config })), 0)
      })

      it('the number of tensors is the same at every step', async () => {
        const counts = new Set<number>()
        await leftBy((model) =>
          watch({ model, examples, config: tinyTraining({ epochs: 3 }) }, ({ type }) => {
            if (type === 'step') counts.add(tf.memory().numTensors)
          }),
        )
        assert.equal(counts.size, 1)
      })

      it('nothing is left when validation, saving or the caller throws', async () => {
        const thrower = async () => {
          throw new Error('planned')
        }
        for (const broken of [{ validate: thrower }, { save: thrower }]) {
          const left = await leftBy((model) =>
            fails(watch({ model, examples, config, ...broken }), /planned/),
          )
          assert.equal(left, 0)
        }
        assert.equal(
          await leftBy((model) => fails(watch({ model, examples, config }, thrower), /planned/)),
          0,
        )
      })

      it('nothing is left when it is aborted, or no longer listened to', async () => {
        const controller = new AbortController()
        const aborted = (model: ShallowDeepModel) =>
          watch({ model, examples, config, signal: controller.signal }, () => controller.abort())
        assert.equal(await leftBy(aborted), 0)
        const broken = async (model: ShallowDeepModel) => {
          for await (const event of train({ model, examples, config, save: async () => {} })) {
            if (event.type === 'step') break
          }
        }
        assert.equal(await leftBy(broken), 0)
      })

      it('nothing is left when the moments to resume with are not its own', async () => {
        const progress = { step: 1, bestStep: null, bestLoss: null, validation: null }
        const resume = { progress, moments: new Map(), extras: new Map() }
        const left = await leftBy((model) =>
          assert.rejects(watch({ model, examples, config, resume }), { code: 'training.wrong-state' }),
        )
        assert.equal(left, 0)
      })
    })

    it('nothing is left when the second of two accumulated batches fails', async () => {
      await chooseBackend({ backend: 'wasm' })
      // wasm refuses to gather an id beyond the vocabulary; the bad example is in the second batch of the one step.
      const examples = copyExamples(4)
      const outside = Int32Array.from([99, 1])
      for (const bad of [
        { source: outside, target: examples[0].target },
        { source: examples[0].source, target: outside },
      ]) {
        const seeds = [1, 2, 3, 4, 5, 6]
        for (const seed of seeds) {
          const model = tinyModel()
          const { numTensors } = tf.memory()
          const config = tinyTraining({ batchSize: 1, accumulationSteps: 5, seed })
          await assert.rejects(watch({ model, examples: [...examples, bad], config }), /index/)
          assert.equal(tf.memory().numTensors, numTensors)
          assert.equal(isRecording(), false)
          model.dispose()
        }
      }
    })
  })
})
