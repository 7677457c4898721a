// Which parameters a training changes: the parts that are named, and no bit of the others; and an adapter's folder.
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import * as tf from '@tensorflow/tfjs'
import fc from 'fast-check'
import {
  loraMatrices,
  PART_NAMES,
  partOf,
  refineLearning,
  refineTuning,
  trainedParts,
  trainingConfigSchema,
  WEIGHT_PARTS,
  weightSpecs,
  type Lora,
  type TrainingConfig,
} from '../../src/config/index.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { buildModel, initialLora, initialWeights } from '../../src/model/index.js'
import { openParameters, type ValidationResult } from '../../src/training/index.js'
import { readAdapter, writeAdapter } from '../../src/training/index.node.js'
import { onEachBackend } from './onEachBackend.js'
import {
  copyExamples,
  scriptedValidation,
  tinyConfig,
  tinyModel,
  tinyTraining,
  watch,
  withFolder,
} from './tinyRun.js'

const config = tinyConfig({ confidenceHead: true, tieEmbeddings: false, decoderLayers: 3, shallowLayers: 2 })

/** Trains four steps; returns the names of the weights and factors that changed, and of the moments. */
async function trainSome(changed: Partial<TrainingConfig>, lora?: Lora) {
  const model = buildModel(config, initialWeights(config, 1), lora)
  const read = () =>
    new Map([...model.variables, ...model.factors].map(([name, x]) => [name, [...x.dataSync()]]))
  const before = read()
  const training = tinyTraining({ steps: 4, ...changed })
  const { snapshots } = await watch({ model, examples: copyExamples(12), config: training })
  const after = read()
  model.dispose()
  const names = [...before.keys()].filter((name) => {
    const values = after.get(name)!
    return before.get(name)!.some((x, i) => !Object.is(x, values[i]))
  })
  const { moments, extras } = snapshots.at(-1)!
  return { names, numMoments: [...moments.values()].reduce((sum, { data }) => sum + data.length, 0), extras }
}

const specs = weightSpecs(config)
const namesIn = (parts: ReadonlySet<string>) =>
  specs.map(({ name }) => name).filter((name) => parts.has(partOf(name, config)))
const sizeOf = (names: readonly string[]) =>
  specs
    .filter(({ name }) => names.includes(name))
    .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0)

describe('parts of a model', () => {
  it('every weight is in one of them, and layers are divided at the shallow exit', () => {
    const part = (name: string) => partOf(name, config)
    assert.deepEqual(
      ['embedding', 'encoder.relativeBias', 'encoder.0.attention.query', 'encoder.finalNorm'].map(part),
      ['embeddings', 'encoder', 'encoder', 'encoder'],
    )
    assert.deepEqual(
      ['decoder.relativeBias', 'decoder.1.feedForward.input', 'decoder.2.feedForward.input'].map(part),
      ['shallow-layers', 'shallow-layers', 'deep-layers'],
    )
    assert.equal(partOf('decoder.12.feedForward.norm', { shallowLayers: 2 }), 'deep-layers')
    assert.deepEqual(['decoder.finalNorm', 'head', 'confidenceHead.bias'].map(part), [
      'head',
      'head',
      'confidence-head',
    ])
    assert.deepEqual(new Set(specs.map(({ name }) => part(name))), new Set(WEIGHT_PARTS))
  })

  it('what is frozen and what is trained make up the whole', () => {
    fc.assert(
      fc.property(fc.subarray([...PART_NAMES]), (names) => {
        const named = trainedParts({ train: names, freeze: [] })
        const others = trainedParts({ freeze: names })
        assert.deepEqual([...named, ...others].sort(), [...WEIGHT_PARTS].sort())
      }),
    )
    assert.deepEqual([...trainedParts({ freeze: ['trunk'] })], ['head', 'confidence-head'])
    assert.deepEqual([...trainedParts({ train: ['decoder'], freeze: [] })], ['shallow-layers', 'deep-layers'])
  })
})

describe('trained parameters', () => {
  onEachBackend(() => {
    const choices: readonly Partial<TrainingConfig>[] = [
      { freeze: [] },
      { freeze: ['encoder', 'embeddings'], optimiser: 'adamw', weightDecay: 0.1 },
      { freeze: ['trunk'] },
      { train: ['shallow-layers'], distillation: 'last' },
      { train: ['head'], loss: 'calm' },
      { train: ['confidence-head'] },
    ]
    for (const choice of choices) {
      it(`${JSON.stringify(choice)}: those change, and the others keep every bit; moments are of those only`, async () => {
        const { names, numMoments } = await trainSome({ optimiser: 'adamw', ...choice })
        const expected = namesIn(trainedParts({ freeze: [], ...choice }))
        assert.deepEqual(names, expected)
        assert.equal(numMoments, 2 * sizeOf(expected))
      })
    }

    it('low-rank updates: factors change, and the confidence head; every other weight keeps every bit', async () => {
      const matrices = loraMatrices(config, ['query', 'feed-forward'], trainedParts({ freeze: ['encoder'] }))
      const lora = initialLora(config, { rank: 2, alpha: 4, matrices }, 1)
      const settings = { loraRank: 2, loraDropout: 0.2, optimiser: 'adamw' } as const
      const { names, numMoments, extras } = await trainSome({ ...settings, freeze: ['encoder'] }, lora)
      const factors = [...lora.factors.keys()]
      assert.ok(factors.every((name) => name.startsWith('decoder.')))
      assert.deepEqual(names, ['confidenceHead.weight', 'confidenceHead.bias', ...factors])
      assert.deepEqual([...extras.keys()], factors)
      const size = [...lora.factors.values()].reduce((sum, { data }) => sum + data.length, 0)
      assert.equal(numMoments, 2 * (size + 2 * config.dModel + 2))
    })

    it('low-rank updates are dropped by masks of their own: another at each step, of every training the same', async () => {
      const matrices = loraMatrices(config, ['query', 'value'], trainedParts({ freeze: [] }))
      const fresh = initialLora(config, { rank: 2, alpha: 4, matrices }, 1)
      const filled = [...fresh.factors].map(
        ([name, { shape, data }]) => [name, { shape, data: data.map((x, i) => x || Math.cos(i)) }] as const,
      )
      const lora = { ...fresh, factors: new Map(filled) }
      const lossesAt = async (loraDropout: number) => {
        const model = buildModel({ ...config, dropout: 0 }, initialWeights(config, 1), lora)
        // So slow that nothing but the masks can differ from step to step; each step sees all examples.
        const training = { steps: 4, batchSize: 6, optimiser: 'adamw', learningRate: 1e-30 } as const
        const { steps } = await watch({
          model,
          examples: copyExamples(6),
          config: tinyTraining({ ...training, loraRank: 2, loraDropout }),
        })
        model.dispose()
        return steps.map(({ deepLoss }) => deepLoss)
      }
      const spread = (losses: number[]) => Math.max(...losses) - Math.min(...losses)
      assert.ok(spread(await lossesAt(0)) < 1e-5)
      const dropped = await lossesAt(0.5)
      assert.deepEqual(await lossesAt(0.5), dropped)
      for (const [i, loss] of dropped.entries()) {
        for (const other of dropped.slice(i + 1)) assert.ok(Math.abs(loss - other) > 1e-4)
      }
    })

    it('a distillation map is trained, from the identity on', async () => {
      const { extras } = await trainSome({ distillation: 'uniform', distillationMap: true })
      const { shape, data } = extras.get('distillation.map')!
      assert.deepEqual(shape, [8, 8])
      const distance = data.map((x, i) => Math.abs(x - (i % 9 === 0 ? 1 : 0)))
      assert.ok(distance.some((x) => x > 0) && distance.every((x) => x < 0.5))
    })
  })

  describe('a confidence head alone', () => {
    before(() => chooseBackend({ backend: 'wasm' }))

    it('learns without dropout, and its own loss says which checkpoint is the best', async () => {
      const validations = scriptedValidation([
        [1, 1],
        [1, 1],
        [9, 9],
      ])
      let step = 0
      const validate = async (): Promise<ValidationResult> => ({
        ...(await validations()),
        confidenceLoss: [0.5, 0.3, 0.2][step++],
      })
      const train = async (dropout: number) => {
        const model = tinyModel({ confidenceHead: true, dropout })
        const training = tinyTraining({ steps: 3, validateEvery: 1, train: ['confidence-head'] })
        const watched = await watch({ model, examples: copyExamples(6), config: training, validate })
        model.dispose()
        step = 0
        return watched
      }
      const { steps, end } = await train(0.5)
      assert.equal(end!.progress.bestStep, 3)
      assert.equal(end!.progress.bestLoss, 0.2)
      assert.deepEqual((await train(0)).steps, steps)
    })

    it('nothing is trained where the model has none', () => {
      const model = tinyModel()
      const { numTensors } = tf.memory()
      const choice = { train: ['confidence-head' as const], freeze: [], distillationMap: true }
      assert.throws(() => openParameters(model, choice), { code: 'training.nothing-to-train' })
      assert.equal(tf.memory().numTensors, numTensors)
      model.dispose()
    })
  })

  it('an adapter in its folder is read as it was written, over an older one too', async () => {
    const matrices = loraMatrices(config, ['value'], trainedParts({ freeze: ['deep-layers'] }))
    await withFolder(async (folder) => {
      for (const seed of [1, 2]) {
        const lora = initialLora(config, { rank: 3, alpha: 7, matrices }, seed)
        await writeAdapter(`${folder}/adapter`, lora, { config, baseModel: 'a/b', dropout: 0.1 })
        assert.deepEqual(await readAdapter(`${folder}/adapter`, config), lora)
      }
      assert.deepEqual(await readdir(`${folder}/adapter`), [
        'adapter_config.json',
        'adapter_model.safetensors',
      ])
    })
  })
})

describe('options that ask for each other', () => {
  const schema = trainingConfigSchema.superRefine(refineLearning).superRefine(refineTuning)
  const refusals: readonly [Partial<TrainingConfig>, string][] = [
    [{ loss: 'calm', exitWeighting: [1, 2] }, 'exitWeighting'],
    [{ distillationTemperature: 2 }, 'distillationTemperature'],
    [{ distillation: 'last', distillationTemperature: 2 }, 'distillationTemperature'],
    [{ distillation: 'logits', distillationMap: true }, 'distillationMap'],
    [{ distillationMap: true }, 'distillationMap'],
    [{ train: ['head'], freeze: ['encoder'] }, 'freeze'],
    [{ freeze: ['trunk', 'head', 'confidence-head'] }, 'freeze'],
  ]
  for (const [options, key] of refusals) {
    it(`${JSON.stringify(options)} is refused at ${key}`, () => {
      const { error } = schema.safeParse(options)
      assert.deepEqual(
        error?.issues.map(({ path }) => path),
        [[key]],
      )
    })
  }

  it('what belongs together passes', () => {
    for (const options of [
      { loss: 'calm', exitWeighting: 'equal', distillation: 'logits', distillationTemperature: 2 },
      { distillation: 'dynamic', distillationMap: true, freeze: ['trunk'] },
    ]) {
      assert.equal(schema.safeParse(options).error, undefined)
    }
  })
})
