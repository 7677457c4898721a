// Loss and gradients of the whole model against PyTorch's of transformers' T5: the deep exit's loss alone, the joint one,
// with smoothing and distillation, and in train mode under dropout with masks that are the same on both sides.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { trainingConfigSchema, type TrainingConfig } from '../../src/config/index.js'
import { buildModel, type Dropout, type HostWeights, type ShallowDeepModel } from '../../src/model/index.js'
import {
  addGradients,
  batchGradients,
  clipGradients,
  groupParameters,
  objectiveOf,
  type BatchLossOptions,
} from '../../src/training/index.js'
import { splitBatch, type TokenBatch } from '../../src/data/index.js'
import { readParityModel } from '../golden/parity.js'
import { onEachBackend } from './onEachBackend.js'
import {
  assertNear,
  inOurNames,
  readMainBatch,
  readVectors,
  readVectorTensors,
  toTokenBatch,
} from './reference.js'

interface GradientCase {
  readonly parts: readonly number[]
  /** Share dropped, and the shapes of what was dropped in the order of the reference's calls. */
  readonly rate?: number
  readonly dropped?: readonly (readonly number[])[]
}

const { shallowLayers, cases } = readVectors<{
  readonly shallowLayers: number
  readonly cases: Readonly<Record<string, GradientCase>>
}>('gradients.json')

/** Losses: float32 sums of some 30 tokens over 100 classes. */
const LOSS_TOLERANCE = 2e-6
/**
 * Of the largest element of each weight's gradient. The vectors are float64 kept to 16 bits (1.5e-5); three plus three
 * layers of float32 forwards and backwards leave some 4e-6.
 */
const GRADIENT_TOLERANCE = 3e-5

/** What differs from the joint loss by layer index, without smoothing and distillation. */
const LOSSES: Record<string, Partial<TrainingConfig>> = {
  deep: { exitWeighting: [0, 1] },
  joint: {},
  distilled: { labelSmoothing: 0.2, distillation: 'logits', distillationWeight: 0.7 },
  dropped: {},
}

const keepAll: Dropout = (x) => x

/** The reference's mask: by place alone, so that the order of calls does not matter. Counts what it drops. */
function maskByPlace(rate: number, sizes: number[]): Dropout {
  return (x) => {
    sizes.push(x.size)
    const isKept = (place: number) => Math.imul(place, 0x9e3779b1) >>> 0 >= rate * 2 ** 32
    const mask = Float32Array.from({ length: x.size }, (_, place) => (isKept(place) ? 1 / (1 - rate) : 0))
    return tf.mul(x, tf.tensor(mask, x.shape)) as typeof x
  }
}

interface Found {
  readonly parts: Float32Array
  readonly gradients: ReadonlyMap<string, Float32Array>
}

/** Loss and gradients by weight, over the parts of a batch as a step accumulates them. */
function computeGradients(
  model: ShallowDeepModel,
  batches: readonly TokenBatch[],
  options: BatchLossOptions,
): Found {
  const { numTensors } = tf.memory()
  const groups = groupParameters(model.variables)
  const parts = new Float32Array(4)
  let stacked: tf.Tensor[] | undefined
  for (const batch of batches) {
    const found = batchGradients(model, batch, { ...options, groups })
    stacked = stacked ? addGradients(stacked, found.gradients) : found.gradients
    found.loss.dataSync().forEach((value, i) => (parts[i] += value))
    found.loss.dispose()
  }
  const gradients = new Map<string, Float32Array>()
  groups.forEach(({ names }, i) => {
    const values = stacked![i].dataSync() as Float32Array
    const size = values.length / names.length
    names.forEach((name, member) => gradients.set(name, values.slice(member * size, (member + 1) * size)))
  })
  tf.dispose(stacked!)
  assert.equal(tf.memory().numTensors, numTensors, 'nothing is left behind')
  return { parts, gradients }
}

function assertGradients({ gradients }: Found, expected: HostWeights): void {
  assert.deepEqual([...gradients.keys()].sort(), [...expected.keys()].sort())
  for (const [name, { data }] of expected) {
    assertNear(gradients.get(name)!, data, { tolerance: GRADIENT_TOLERANCE, what: name })
  }
}

describe('gradients', () => {
  onEachBackend(() => {
    for (const name of ['v10', 'v11']) {
      describe(name, () => {
        const { config, weights } = readParityModel(name, shallowLayers)
        const batch = toTokenBatch(readMainBatch(name))
        const tensors = readVectorTensors(`gradients-${name}.safetensors.gz`)
        const optionsOf = (changed: Partial<TrainingConfig>, dropout: Dropout): BatchLossOptions => ({
          objective: objectiveOf(trainingConfigSchema.parse({ labelSmoothing: 0, ...changed }), config),
          numTokens: batch.numTokens,
          pass: { dropout },
        })
        let model: ShallowDeepModel
        before(() => {
          model = buildModel(config, weights)
        })
        after(() => model.dispose())

        for (const [kind, changed] of Object.entries(LOSSES)) {
          const reference = cases[`${name}/${kind}`]
          if (!reference) continue
          const { parts, rate, dropped } = reference

          it(`${kind}: losses and the gradient of every weight are the reference's, in train mode`, () => {
            const sizes: number[] = []
            const dropout = rate === undefined ? keepAll : maskByPlace(rate, sizes)
            const found = computeGradients(model, [batch], optionsOf(changed, dropout))
            const total = kind === 'deep' ? parts[2] : parts[0]
            const divergence = changed.distillation === 'logits' ? parts[3] : 0
            ;[total, parts[1], parts[2], divergence].forEach((wanted, i) => {
              assert.ok(Math.abs(found.parts[i] - wanted) <= LOSS_TOLERANCE * (1 + wanted), `part ${i}`)
            })
            assertGradients(found, inOurNames(tensors, name, `${kind}/`))
            const wantedSizes = (dropped ?? []).map((shape) => shape.reduce((a, b) => a * b))
            const numeric = (a: number, b: number) => a - b
            assert.deepEqual(sizes.sort(numeric), wantedSizes.sort(numeric), 'as many dropouts of each size')
          })
        }

        it('joint: the parts of a batch add up to the reference too, unequal as they are', () => {
          const rows = [[0, 3], [1], [2, 4]]
          const padded = rows.map((indices) => pickRows(batch, indices))
          const expected = inOurNames(tensors, name, 'joint/')
          for (const parts of [padded, splitBatch(batch, 2 * (12 + 9))]) {
            assert.equal(parts.length, 3)
            assertGradients(computeGradients(model, parts, optionsOf({}, keepAll)), expected)
          }
        })
      })
    }

    it('clipping is PyTorch’s: to the norm where it is exceeded, else left to the bit, and never at 0', () => {
      const { numTensors } = tf.memory()
      const values = [
        [3, 0, -4],
        [12, 0],
      ] // norm 13
      for (const [maxNorm, factor] of [
        [6.5, 0.5],
        [13.1, 1],
        [0, 1],
      ]) {
        const original = values.map((row) => tf.tensor2d(row, [1, row.length]))
        const { gradients, norm } = clipGradients(original, maxNorm)
        assert.ok(Math.abs(norm.dataSync()[0] - 13) < 1e-5)
        gradients.forEach((gradient, i) => {
          assert.deepEqual(gradient.shape, [1, values[i].length])
          const wanted = values[i].map((value) => value * factor)
          assertNear(gradient.dataSync(), wanted, { tolerance: factor === 1 ? 0 : 1e-6, what: `${maxNorm}` })
        })
        tf.dispose([gradients, norm])
        assert.equal(tf.memory().numTensors, numTensors, 'the originals are gone')
      }
    })

    it('the norm of millions of small gradients is not lost in rounding', () => {
      const gradients = [tf.fill([3, 2000, 500], 1e-3)] // a running float32 sum is off by 1e-2 here
      const { norm } = clipGradients(gradients, 0)
      assertNear(norm.dataSync(), [1e-3 * Math.sqrt(3e6)], { tolerance: 1e-4, what: 'norm' })
      tf.dispose([gradients, norm])
    })
  })
})

/** Rows of a batch as a batch of their own. */
function pickRows(batch: TokenBatch, rows: readonly number[]): TokenBatch {
  const picked = splitBatch(batch, 1)
  const [first] = picked
  const join = (read: (row: TokenBatch) => Int32Array) =>
    Int32Array.from(rows.flatMap((row) => [...read(picked[row])]))
  return {
    ...first,
    batchSize: rows.length,
    sources: join((row) => row.sources),
    decoderInputs: join((row) => row.decoderInputs),
    labels: join((row) => row.labels),
    numTokens: rows.reduce((sum, row) => sum + picked[row].numTokens, 0),
    indices: join((row) => row.indices),
  }
}
