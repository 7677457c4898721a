// What a training may minimise beyond the joint loss, against PyTorch's automatic gradients over transformers' T5: every
// distillation variant, CALM's loss, layers left out. (scripts/golden/training_objectives.py)
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import {
  trainingConfigSchema,
  weightSpecs,
  type HostWeight,
  type TrainingConfig,
} from '../../src/config/index.js'
import { splitBatch } from '../../src/data/index.js'
import type { ModelWeights } from '../../src/checkpoint/index.js'
import { buildModel } from '../../src/model/index.js'
import {
  batchGradients,
  groupParameters,
  objectiveOf,
  type BatchLossOptions,
} from '../../src/training/index.js'
import { readParityModel } from '../golden/parity.js'
import { onEachBackend } from './onEachBackend.js'
import { assertNear, readMainBatch, readVectors, readVectorTensors, toTokenBatch } from './reference.js'

interface ObjectiveCase {
  readonly model: string
  readonly shallowLayers: number
  readonly options: {
    readonly loss?: 'calm'
    readonly distillation?: TrainingConfig['distillation']
    readonly alpha?: number
    readonly temperature?: number
    readonly smoothing?: number
    readonly equal?: boolean
    readonly skipped?: readonly number[]
    readonly confidence?: boolean
  }
  readonly pairs: readonly (readonly [number, number])[]
  /** Total, shallow, deep, distillation, confidence. */
  readonly parts: readonly number[]
  /** Norm of every weight's gradient, by the reference's names. */
  readonly norms: Readonly<Record<string, number>>
}

const { cases } = readVectors<{ readonly cases: Readonly<Record<string, ObjectiveCase>> }>('objectives.json')
const tensors = readVectorTensors('objectives.safetensors.gz')

/** As in gradients.test.ts. */
const LOSS_TOLERANCE = 2e-6
const GRADIENT_TOLERANCE = 3e-5

function trainingOf({ options }: ObjectiveCase): TrainingConfig {
  const { loss, distillation, alpha, temperature, smoothing = 0, equal } = options
  return trainingConfigSchema.parse({
    ...(loss && { loss }),
    ...(equal && { exitWeighting: 'equal' }),
    ...(distillation && { distillation, distillationWeight: alpha }),
    ...(temperature && { distillationTemperature: temperature }),
    labelSmoothing: smoothing,
  })
}

/** The model of a case, with the confidence head where it has one. */
function openModel(name: string): ModelWeights {
  const { model, shallowLayers, options } = cases[name]
  const { config, weights } = readParityModel(model, shallowLayers)
  if (!options.confidence) return { config, weights }
  const part = (key: string): HostWeight => {
    const { shape, data } = tensors.get(`${name}/shallow_confidence_head.${key}`)!
    const isMatrix = shape.length === 2
    return { shape: shape.toReversed(), data: Float32Array.from(isMatrix ? transposed(data, shape) : data) }
  }
  const head = ['weight', 'bias'].map((key) => [`confidenceHead.${key}`, part(key)] as const)
  return { config: { ...config, confidenceHead: true }, weights: new Map([...weights, ...head]) }
}

const transposed = (data: ArrayLike<number>, [rows, columns]: readonly number[]) =>
  Float32Array.from({ length: rows * columns }, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)])

describe('objectives', () => {
  onEachBackend(() => {
    for (const [name, found] of Object.entries(cases)) {
      it(`${name} (S = ${found.shallowLayers}): losses and gradients are the reference's`, () => {
        const { config, weights } = openModel(name)
        const model = buildModel(config, weights)
        const batch = toTokenBatch(readMainBatch(found.model))
        const saved = tensors.get(`${name}/map`)
        const map =
          saved &&
          tf.tidy(() =>
            tf.variable(tf.tensor<tf.Rank.R2>(saved.data, saved.shape as [number, number], 'float32')),
          )
        const groups = groupParameters(new Map([...model.variables, ...(map ? [['map', map] as const] : [])]))
        const options: BatchLossOptions = {
          objective: objectiveOf(trainingOf(found), config),
          numTokens: batch.numTokens,
          pass: { dropout: (x) => x, skippedLayers: new Set(found.options.skipped) },
          distillationMap: map,
        }
        const { numTensors } = tf.memory()
        // Only the dynamic pairs depend on what goes through together.
        const isDynamic = found.options.distillation === 'dynamic'
        const parts = [0, 0, 0, 0, 0]
        const gradients = new Map<string, Float32Array>()
        for (const part of isDynamic
          ? [batch]
          : splitBatch(batch, 2 * (batch.sourceLength + batch.targetLength))) {
          const step = batchGradients(model, part, { ...options, groups })
          step.loss.dataSync().forEach((value, i) => (parts[i] += value))
          groups.forEach(({ names }, i) => {
            const values = step.gradients[i].dataSync()
            const size = values.length / names.length
            names.forEach((weight, member) => {
              const sum = gradients.get(weight) ?? new Float32Array(size)
              for (let j = 0; j < size; j++) sum[j] += values[member * size + j]
              gradients.set(weight, sum)
            })
          })
          tf.dispose([step.loss, step.gradients])
        }
        assert.equal(tf.memory().numTensors, numTensors)
        model.dispose()
        map?.dispose()

        found.parts.forEach((wanted, i) => {
          assert.ok(Math.abs(parts[i] - wanted) <= LOSS_TOLERANCE * (1 + wanted), `part ${i}: ${parts[i]}`)
        })
        let numKept = 0
        for (const { name: ours, huggingFaceName, transposed: isTransposed } of weightSpecs(config)) {
          const isOwn = ours.startsWith('confidenceHead')
          const gradient = gradients.get(ours)!
          const norm = Math.hypot(...gradient)
          const wanted = found.norms[huggingFaceName]
          if (!isOwn)
            assert.ok(
              Math.abs(norm - wanted) <= GRADIENT_TOLERANCE * (wanted + 1e-3),
              `${ours}: norm ${norm}, ${wanted}`,
            )
          const kept = tensors.get(`${name}/${huggingFaceName}${isOwn ? ' gradient' : ''}`)
          if (!kept) continue
          numKept++
          const data = isTransposed ? transposed(kept.data, kept.shape) : kept.data
          // A weight that is left out has a gradient of zero on both sides.
          assertNear(gradient, data, { tolerance: GRADIENT_TOLERANCE, what: ours })
        }
        assert.ok(numKept >= 6)
        if (map) {
          const wanted = tensors.get(`${name}/map gradient`)!.data
          assertNear(gradients.get('map')!, wanted, { tolerance: GRADIENT_TOLERANCE, what: 'map' })
        }
      })
    }
  })
})
