// Runs on disk (run.node.ts): a training that was interrupted, saved and loaded again reaches what an uninterrupted one
// does, bit for bit; and what cannot be gone on with is refused.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openRun } from '../../src/checkpoint/index.node.js'
import { loraMatrices, trainedParts, type ModelConfig, type TrainingConfig } from '../../src/config/index.js'
import type { ShallowDeepError } from '../../src/errors.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { buildModel, initialLora, initialWeights, type ShallowDeepModel } from '../../src/model/index.js'
import { openTrainingRun, resumeRun, saveBase, saveSnapshot } from '../../src/training/index.node.js'
import { validateLosses, type ValidationResult } from '../../src/training/index.js'
import { makeBatches } from '../../src/data/index.js'
import { onEachBackend } from './onEachBackend.js'
import {
  copyExamples,
  tinyConfig,
  tinyModel,
  tinyTraining,
  watch,
  weightBits,
  withFolder,
  type Watched,
} from './tinyRun.js'

const TOKENIZER = { version: '1.0', model: { type: 'none' } }
const examples = copyExamples(10)
const heldOut = copyExamples(5, 8)

/** Ten examples in twos, two batches a step: epochs of three steps (the last of one batch). Nine steps. */
const SETTINGS = { epochs: 3, accumulationSteps: 2, validateEvery: 2, saveEvery: 4 } as const

/** Losses of the held-out examples, so that "best" depends on the weights. */
async function validate(model: ShallowDeepModel): Promise<ValidationResult> {
  const batches = makeBatches(heldOut, { batchSize: 5, seed: 0, epoch: 0, padId: 0, decoderStartId: 0 })
  const { shallowLoss, deepLoss, agreement } = await validateLosses(model, batches)
  const quality = (loss: number) => ({ loss, perplexity: Math.exp(loss), bleu: null })
  return { shallow: quality(shallowLoss), deep: quality(deepLoss), agreement }
}

/** Trains `model` into `folder`; aborts after step `until`. */
async function trainInto(
  folder: string,
  model: ShallowDeepModel,
  options: {
    readonly training: TrainingConfig
    readonly until?: number
    readonly resume?: Parameters<typeof watch>[0]['resume']
    readonly validate?: typeof validate
  },
): Promise<Watched> {
  const { training, until, resume } = options
  const run = await openTrainingRun(folder, training)
  if (!resume) await saveBase(folder, model)
  const controller = new AbortController()
  const context = { model, tokenizerJson: TOKENIZER, training }
  return watch(
    {
      ...{ model, examples, config: training, resume, validate: options.validate ?? validate },
      signal: controller.signal,
      save: (snapshot) => saveSnapshot(run, snapshot, context),
    },
    (event) => {
      if (event.type === 'step' && event.step === until) controller.abort()
    },
  )
}

/** Goes on with the run in `folder`, from nothing but what is there. */
async function goOn(folder: string, training: TrainingConfig, until?: number) {
  const { config, weights, lora, progress, moments, extras } = await resumeRun(
    await openTrainingRun(folder, training),
    folder,
    training,
  )
  const model = buildModel(config, weights, lora)
  const watched = await trainInto(folder, model, { training, until, resume: { progress, moments, extras } })
  const bits = await weightBits(model)
  model.dispose()
  return { ...watched, bits, from: progress.step }
}

/** Trains a fresh model into a folder of its own. */
async function start(
  folder: string,
  options: { changed?: Partial<ModelConfig>; training: TrainingConfig; until?: number },
) {
  const config = tinyConfig(options.changed)
  const { loraRank: rank, loraAlpha: alpha, loraTargets } = options.training
  const matrices = loraMatrices(config, loraTargets, trainedParts(options.training))
  const lora = rank === undefined ? undefined : initialLora(config, { rank, alpha, matrices }, 1)
  const model = buildModel(config, initialWeights(config, 1), lora)
  const watched = await trainInto(folder, model, options)
  const bits = await weightBits(model)
  model.dispose()
  return { ...watched, bits }
}

const KINDS = [
  { name: 'adafactor', changed: {}, training: {} },
  {
    name: 'adamw',
    changed: { feedForward: 'gated-gelu', tieEmbeddings: false, scaleLogits: false },
    training: { optimiser: 'adamw' },
  },
  {
    name: 'distillation through a map, with layer dropout',
    changed: { shallowLayers: 2 },
    training: { distillation: 'uniform', distillationMap: true, layerDropout: 0.5 },
  },
  {
    name: 'low-rank updates beside a confidence head',
    changed: { confidenceHead: true },
    training: { optimiser: 'adamw', loraRank: 2, loraDropout: 0.3, freeze: ['encoder'] },
  },
] satisfies readonly {
  readonly name: string
  readonly changed: Partial<ModelConfig>
  readonly training: Partial<TrainingConfig>
}[]

describe('resuming', () => {
  onEachBackend(() => {
    for (const { name, changed, training: special } of KINDS) {
      it(`${name}: in mid-epoch and twice, once at an epoch's edge, ends where no interruption does`, async () => {
        const training = tinyTraining({
          ...SETTINGS,
          ...special,
          weightDecay: 0.01,
          schedule: 'cosine',
          warmupSteps: 2,
          learningRate: 0.01,
        })
        const whole = await withFolder((folder) => start(folder, { changed, training }))
        assert.equal(whole.steps.length, 9)
        assert.equal(whole.end!.isInterrupted, false)
        for (const stops of [[4], [3, 5]]) {
          await withFolder(async (folder) => {
            const first = await start(folder, { changed, training, until: stops[0] })
            assert.deepEqual([first.end!.isInterrupted, first.end!.progress.step], [true, stops[0]])
            const steps = [...first.steps]
            let last: Awaited<ReturnType<typeof goOn>> | undefined
            for (const [i, from] of stops.entries()) {
              last = await goOn(folder, training, stops[i + 1])
              assert.equal(last.from, from)
              steps.push(...last.steps)
            }
            assert.deepEqual(steps, whole.steps, `losses, norms and rates after stops at ${stops}`)
            assert.deepEqual(last!.end, whole.end, 'progress, with the best and its loss')
            assert.deepEqual(last!.bits, whole.bits, `weights after stops at ${stops}`)
          })
        }
      })
    }

    it('what a resumed run needs is needed: without its moments it ends elsewhere', async () => {
      const training = tinyTraining(SETTINGS)
      await withFolder(async (folder) => {
        const whole = await withFolder((other) => start(other, { training }))
        await start(folder, { training, until: 4 })
        const resumed = await resumeRun(await openTrainingRun(folder, training), folder, training)
        const model = buildModel(resumed.config, resumed.weights)
        const zeros = new Map(
          [...resumed.moments].map(([key, { shape, data }]) => [key, { shape, data: data.map(() => 0) }]),
        )
        await trainInto(folder, model, { training, resume: { ...resumed, moments: zeros } })
        assert.notDeepEqual(await weightBits(model), whole.bits)
        model.dispose()
      })
    })
  })

  describe('the folder of a run', () => {
    before(() => chooseBackend({ backend: 'wasm' }))

    it('a finished run has nothing left to do, and goes on with more epochs', async () => {
      await withFolder(async (folder) => {
        const training = tinyTraining({ ...SETTINGS, epochs: 1 })
        await start(folder, { training })
        assert.deepEqual(
          (await goOn(folder, training)).events.map(({ type }) => type),
          ['end'],
        )
        const longer = await goOn(folder, tinyTraining({ ...SETTINGS, epochs: 2, keepCheckpoints: 1 }))
        assert.deepEqual(
          longer.steps.map(({ step, epoch }) => [step, epoch]),
          [
            [4, 2],
            [5, 2],
            [6, 2],
          ],
        )
      })
    })

    it('a checkpoint holds the settings, the progress and the tokenizer, and the run names last and best', async () => {
      await withFolder(async (folder) => {
        const training = tinyTraining(SETTINGS)
        const model = tinyModel()
        let worse = 0
        const getWorse = async (): Promise<ValidationResult> => {
          const quality = { loss: ++worse, perplexity: 1, bleu: 7 }
          return { shallow: quality, deep: quality, agreement: 0.5 }
        }
        const { end, snapshots } = await trainInto(folder, model, { training, validate: getWorse })
        model.dispose()
        const run = await openTrainingRun(folder, training)
        assert.equal(run.last(), join(folder, 'step-9'))
        assert.equal(run.best(), join(folder, 'step-2'))
        assert.equal(end!.progress.bestStep, 2)
        const state: unknown = JSON.parse(await readFile(join(folder, 'step-9', 'training.json'), 'utf8'))
        assert.deepEqual(state, { training, progress: end!.progress })
        const resumed = await resumeRun(run, folder, training)
        assert.deepEqual(resumed.tokenizerJson, TOKENIZER)
        assert.deepEqual(resumed.progress, end!.progress)
        for (const [key, { shape, data }] of snapshots.at(-1)!.moments) {
          const { shape: readShape, data: readData } = resumed.moments.get(key)!
          assert.deepEqual([readShape, readData], [shape, data], key)
        }
        const info = run.checkpoints().at(-1)!.info
        assert.deepEqual(info, { validation: end!.progress.validation })
      })
    })

    it('an empty folder holds nothing to resume', async () => {
      await withFolder(async (folder) => {
        const run = await openRun(folder)
        await assert.rejects(resumeRun(run, folder, tinyTraining()), { code: 'training.nothing-to-resume' })
      })
    })

    it('settings that change what is learnt are refused by name; how long, how often and how fast may change', async () => {
      await withFolder(async (folder) => {
        const training = tinyTraining(SETTINGS)
        await start(folder, { training, until: 1 })
        const run = await openTrainingRun(folder, training)
        const different: { readonly [K in keyof TrainingConfig]-?: TrainingConfig[K] } = {
          seed: 6,
          epochs: 9,
          steps: 5,
          batchSize: 3,
          accumulationSteps: 1,
          maxPassTokens: 100,
          maxSourceLength: 7,
          maxTargetLength: 7,
          optimiser: 'adamw',
          learningRate: 1,
          schedule: 'linear',
          warmupSteps: 1,
          weightDecay: 1,
          maxGradientNorm: 2,
          labelSmoothing: 0,
          exitWeighting: [1, 1],
          loss: 'calm',
          distillation: 'logits',
          distillationWeight: 1,
          distillationTemperature: 2,
          distillationMap: true,
          layerDropout: 0.1,
          layerDropoutGrowth: 'linear',
          train: ['decoder'],
          freeze: ['encoder'],
          loraRank: 2,
          loraAlpha: 2,
          loraTargets: ['key'],
          loraDropout: 0.1,
          validateEvery: 1,
          saveEvery: 1,
          keepCheckpoints: 9,
        }
        const free = ['epochs', 'steps', 'maxPassTokens', 'validateEvery', 'saveEvery', 'keepCheckpoints']
        const reported = ['learningRate', 'schedule', 'warmupSteps', 'weightDecay', 'maxGradientNorm']
        for (const [key, value] of Object.entries(different)) {
          const wanted = { ...training, [key]: value }
          if (free.includes(key) || reported.includes(key)) {
            const resumed = await resumeRun(run, folder, wanted)
            assert.deepEqual(resumed.training, wanted)
            const [saved, now] = [training[key as keyof TrainingConfig], value].map((x) => JSON.stringify(x))
            assert.deepEqual(resumed.changes, free.includes(key) ? [] : [`${key} ${saved} -> ${now}`])
            continue
          }
          await assert.rejects(resumeRun(run, folder, wanted), (error: ShallowDeepError) => {
            assert.equal(error.code, 'training.changed-config')
            assert.deepEqual(error.details.changed, [key])
            assert.match(error.message, new RegExp(`${key} .* -> [^\\n]*$`))
            return true
          })
        }
      })
    })
  })
})
