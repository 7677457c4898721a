// LoRA against PEFT: what a model computes with an adapter that PEFT saved, its gradients, merging, and the saved form
// itself (scripts/golden/training_lora.py).
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as tf from '@tensorflow/tfjs'
import { readSafetensors } from '../../src/checkpoint/index.js'
import {
  factorNames,
  fromPeft,
  loraMatrices,
  toPeft,
  trainedParts,
  trainingConfigSchema,
  weightSpecs,
  type HostWeights,
  type Lora,
  type LoraTarget,
} from '../../src/config/index.js'
import { buildModel, initialLora, initialWeights, mergeLora } from '../../src/model/index.js'
import { batchGradients, groupParameters, objectiveOf, openParameters } from '../../src/training/index.js'
import { readParityModel } from '../golden/parity.js'
import { onEachBackend } from './onEachBackend.js'
import { assertNear, readMainBatch, readVectorTensors, toTokenBatch } from './reference.js'
import { tinyConfig } from './tinyRun.js'

const ROOT = fileURLToPath(new URL('../golden/training/', import.meta.url))
const ALL = trainedParts({ freeze: [] })

/** What PEFT wrote. */
function readPeft(name: string): {
  readonly tensors: HostWeights
  readonly configJson: Record<string, unknown>
} {
  const path = `${ROOT}lora-${name}/adapter_model.safetensors`
  return {
    tensors: readSafetensors(readFileSync(path), path).tensors as HostWeights,
    configJson: JSON.parse(readFileSync(`${ROOT}lora-${name}/adapter_config.json`, 'utf8')),
  }
}

/**
 * Of each factor's largest value: float32 against float64. v11's logits are large, so that the gradients of its keys are
 * what is left of sums a hundred times their size: 1.1e-4. A wrong one is off by some 1.
 */
const TOLERANCE = 2e-4

describe('LoRA against PEFT', () => {
  onEachBackend(() => {
    for (const name of ['v10', 'v11', 'asymmetric']) {
      it(`${name}: logits, loss and the gradient of every factor; frozen weights have none`, () => {
        const { config, weights } = readParityModel(name, 1)
        const { tensors, configJson } = readPeft(name)
        const lora = fromPeft(tensors, configJson, config, name)
        const expected = readVectorTensors(`lora-${name}/expected.safetensors.gz`)
        const batch = toTokenBatch(readMainBatch(name))
        const model = buildModel(config, weights, lora)
        const parameters = openParameters(model, { distillationMap: false, freeze: [] })
        assert.deepEqual([...parameters.trained.keys()].sort(), [...lora.factors.keys()].sort())
        const groups = groupParameters(parameters.trained)
        const { numTensors } = tf.memory()
        tf.tidy(() => {
          const inputs = [
            tf.tensor2d(batch.sources, [batch.batchSize, batch.sourceLength], 'int32'),
            tf.tensor2d(batch.decoderInputs, [batch.batchSize, batch.targetLength], 'int32'),
          ]
          const [, deep] = model.layersModel.predict(inputs) as tf.Tensor[]
          assertNear(deep.dataSync(), expected.get('logits')!.data, { tolerance: TOLERANCE, what: 'logits' })
          const found = batchGradients(model, batch, {
            objective: objectiveOf(trainingConfigSchema.parse({ labelSmoothing: 0 }), config),
            numTokens: batch.numTokens,
            pass: { dropout: (x) => x },
            groups,
          })
          const parts = found.loss.dataSync().slice(0, 3)
          found.loss.dispose()
          assertNear(parts, expected.get('parts')!.data, { tolerance: 1e-6, what: 'losses' })
          const gradients = new Map<string, { shape: readonly number[]; data: Float32Array }>()
          groups.forEach(({ names, shape }, i) => {
            const rows = tf.unstack(found.gradients[i])
            names.forEach((factor, j) =>
              gradients.set(factor, { shape, data: rows[j].dataSync() as Float32Array }),
            )
          })
          const theirs = toPeft({ ...lora, factors: gradients }, config, {
            baseModel: '',
            dropout: 0,
          }).tensors
          for (const [key, { data }] of theirs) {
            const wanted = expected.get(`gradient/${key}`)!.data
            assertNear(data, wanted, { tolerance: TOLERANCE, what: key })
          }
        })
        assert.equal(tf.memory().numTensors, numTensors)
        parameters.dispose()
        model.dispose()
      })
    }
  })

  for (const name of ['v10', 'v11', 'asymmetric']) {
    const { config, weights } = readParityModel(name, 1)
    const { tensors, configJson } = readPeft(name)
    const lora = fromPeft(tensors, configJson, config, name)

    it(`${name}: merged weights are PEFT's, and the others the very same`, () => {
      const merged = mergeLora(weights, lora)
      let numCompared = 0
      for (const { name: ours, huggingFaceName, transposed } of weightSpecs(config)) {
        if (!lora.matrices.includes(ours)) assert.equal(merged.get(ours), weights.get(ours))
        const wanted = readVectorTensors(`lora-${name}/expected.safetensors.gz`).get(
          `merged/${huggingFaceName}`,
        )
        if (!wanted) continue
        numCompared++
        const { shape, data } = merged.get(ours)!
        const [rows, columns] = shape
        const inTheirs = transposed
          ? Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)])
          : data
        assertNear(inTheirs, wanted.data, { tolerance: 1e-6, what: ours })
      }
      assert.ok(numCompared > 10)
    })

    it(`${name}: written again, tensors and settings are those that PEFT wrote`, () => {
      const again = toPeft(lora, config, { baseModel: `t5-parity/${name}`, dropout: 0 })
      assert.deepEqual([...again.tensors.keys()].sort(), [...tensors.keys()].sort())
      for (const [key, { shape, data }] of tensors) {
        assert.deepEqual(again.tensors.get(key), { shape, data }, key)
      }
      const { target_modules: modules, ...settings } = again.configJson
      for (const [key, value] of Object.entries(settings)) assert.deepEqual(value, configJson[key], key)
      const theirs = configJson.target_modules
      if (Array.isArray(theirs)) assert.deepEqual((modules as string[]).toSorted(), theirs.toSorted())
      // A pattern of theirs; whole names of ours, as "k" alone would mean the encoder's too.
      else assert.ok((modules as string[]).every((module) => new RegExp(`^${String(theirs)}$`).test(module)))
    })
  }

  const { config } = readParityModel('v10', 1)
  const files = readPeft('v10')
  const refusals: readonly [string, () => unknown, string][] = [
    [
      'another rank',
      () => fromPeft(files.tensors, { ...files.configJson, r: 4 }, config, 'a'),
      'lora.wrong-shape',
    ],
    [
      'another kind of adapter',
      () => fromPeft(files.tensors, { ...files.configJson, peft_type: 'IA3' }, config, 'a'),
      'config.invalid-value',
    ],
    [
      'a variant that computes otherwise',
      () => fromPeft(files.tensors, { ...files.configJson, use_rslora: true }, config, 'a'),
      'config.invalid-value',
    ],
    [
      'a rank of its own for some matrices',
      () => fromPeft(files.tensors, { ...files.configJson, rank_pattern: { q: 9 } }, config, 'a'),
      'config.unknown-key',
    ],
    [
      'a factor of no matrix of the model',
      () => fromPeft(files.tensors, files.configJson, { ...config, decoderLayers: 2 }, 'a'),
      'lora.unknown-tensor',
    ],
    [
      'one factor of two',
      () => fromPeft(new Map([...files.tensors].slice(1)), files.configJson, config, 'a'),
      'lora.missing-tensor',
    ],
    ['nothing', () => fromPeft(new Map(), files.configJson, config, 'a'), 'lora.unknown-tensor'],
  ]
  for (const [what, read, code] of refusals) {
    it(`refuses ${what}`, () => {
      assert.throws(read, { code })
    })
  }
})

describe('LoRA', () => {
  onEachBackend(() => {
    it('a fresh one changes nothing; trained or not, merged and unmerged models compute the same', async () => {
      const config = tinyConfig({ feedForward: 'gated-gelu', tieEmbeddings: false })
      const weights = initialWeights(config, 1)
      const targets: LoraTarget[] = ['key', 'output', 'feed-forward']
      const matrices = loraMatrices(config, targets, ALL)
      const fresh = initialLora(config, { rank: 2, alpha: 6, matrices }, 4)
      const trained: Lora = {
        ...fresh,
        factors: new Map(
          [...fresh.factors].map(([name, { shape, data }]) => [
            name,
            { shape, data: data.map((x, i) => x + 0.1 * Math.sin(i)) },
          ]),
        ),
      }
      const logitsOf = (model: ReturnType<typeof buildModel>) =>
        tf.tidy(() => {
          const inputs = [
            tf.tensor2d([[5, 6, 7, 1]], [1, 4], 'int32'),
            tf.tensor2d([[0, 3, 9]], [1, 3], 'int32'),
          ]
          return (model.layersModel.predict(inputs) as tf.Tensor[]).map((x) => x.dataSync())
        })
      const { numTensors } = tf.memory()
      const plain = buildModel(config, weights)
      const models = [fresh, trained].map((lora) => buildModel(config, weights, lora))
      const read = await models[1].readLora()
      assert.deepEqual(read, trained)
      const merged = buildModel(config, await models[1].readWeights())
      const [base, start, adapted, once] = [plain, ...models, merged].map(logitsOf)
      assert.deepEqual(start, base)
      assert.notDeepEqual(adapted, base)
      once.forEach((logits, i) => assertNear(logits, adapted[i], { tolerance: 1e-5, what: `exit ${i}` }))
      for (const model of [plain, ...models, merged]) model.dispose()
      assert.equal(tf.memory().numTensors, numTensors)
    })
  })

  it('A is drawn with standard deviation 1 / r, B is zero, and the seed decides', () => {
    const config = tinyConfig({ dModel: 64, dFf: 128 })
    const matrices = loraMatrices(config, ['feed-forward'], ALL)
    const shape = { rank: 4, alpha: 8, matrices }
    const lora = initialLora(config, shape, 1)
    const values: number[] = []
    for (const matrix of matrices) {
      const { a, b } = factorNames(matrix)
      values.push(...lora.factors.get(a)!.data)
      assert.ok(lora.factors.get(b)!.data.every((x) => x === 0))
    }
    const deviation = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length)
    assert.ok(Math.abs(deviation - 1 / 4) < 0.02, `${deviation}`)
    assert.deepEqual(initialLora(config, shape, 1), lora)
    assert.notDeepEqual(initialLora(config, shape, 2), lora)
  })

  it('targets name kinds of matrices, in the parts that are trained', () => {
    const config = tinyConfig({ decoderLayers: 2 })
    const attentions = ['encoder.0.attention', 'decoder.0.selfAttention', 'decoder.0.crossAttention']
    attentions.push('decoder.1.selfAttention', 'decoder.1.crossAttention')
    const names = (targets: LoraTarget[], parts = ALL) => loraMatrices(config, targets, parts).sort()
    assert.deepEqual(names(['output']), attentions.map((attention) => `${attention}.output`).sort())
    assert.deepEqual(
      names(['feed-forward']),
      ['decoder.0', 'decoder.1', 'encoder.0'].flatMap((layer) => [
        `${layer}.feedForward.input`,
        `${layer}.feedForward.output`,
      ]),
    )
    assert.deepEqual(
      names(['query', 'value'], trainedParts({ train: ['deep-layers'], freeze: [] })),
      attentions
        .slice(3)
        .flatMap((attention) => [`${attention}.query`, `${attention}.value`])
        .sort(),
    )
  })
})
