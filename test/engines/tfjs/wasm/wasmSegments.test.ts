// Layers by kernels of our own on wasm: the numbers that one operation after the other gives; and a row's do not depend on
// what is beside it.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import type { EngineDtype } from '../../../../src/config/index.js'
import { decodeOne, full } from '../../../../src/decoding/index.js'
import { chooseBackend } from '../../../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../../../src/engines/tfjs/engine.js'
import type { SegmentGroup } from '../../../../src/engines/tfjs/segments.js'
import { kernelsFor, WasmSegments } from '../../../../src/engines/tfjs/wasm/wasmSegments.js'
import { readParityModel } from '../../../golden/parity.js'
import {
  distance,
  distanceOf,
  passes,
  randomGroup,
  randomTensors,
  runBothWays,
  withWays,
  type Model,
  type RunnerModel,
  type Ways,
} from '../segmentPasses.js'

/** States as a pass takes them. */
const allOf = (states: tf.Tensor2D) => [{ states, start: 0, count: states.shape[0] }]

const bitsOf = (x: tf.Tensor) => new Uint32Array((x.dataSync() as Float32Array).slice().buffer)

const names = ['free-v10', 'free-v11', 'asymmetric', 'v10', 'v11']

describe('layers by kernels on wasm', () => {
  before(() => chooseBackend({ backend: 'wasm' }))

  const withKernels = (model: Model, use: (ways: Ways) => void, dtype: EngineDtype = 'float32') => {
    const kernels = kernelsFor(model.config)!
    const make = (own: RunnerModel) => new WasmSegments(kernels, own)
    const before = tf.memory().numTensors
    withWays(model, { upload: { kernels, dtype }, keeps: 'beside', make }, use)
    assert.equal(tf.memory().numTensors, before)
  }

  for (const name of names) {
    const model = readParityModel(name, 1)
    const { config } = model

    for (const [what, pass] of Object.entries(passes)) {
      it(`${name}: ${what}`, () => {
        let largest = 0
        withKernels(model, (ways) => {
          runBothWays(ways, config, [randomGroup(config, pass)], (actual, expected) => {
            largest = Math.max(largest, distanceOf(actual, expected))
          })
        })
        assert.ok(largest < 3e-6, `${largest}`)
      })
    }

    it(`${name}: groups of rows that are not in step`, () => {
      withKernels(model, (ways) => {
        const random = randomTensors()
        const groups = Object.values(passes).map((pass) => randomGroup(config, pass, random))
        runBothWays(ways, config, groups, (actual, expected) => {
          assert.ok(distanceOf(actual, expected) < 3e-6)
        })
      })
    })

    it(`${name}: what cross-attention reads, and the encoder, of short sources and long ones`, () => {
      withKernels(model, ({ own, eager }) => {
        const random = randomTensors()
        for (const length of [1, 2, 5, 16, 31, 96, 97, 130]) {
          const states = random<tf.Tensor2D>(length, config.dModel)
          const padded: tf.Tensor2D = tf.pad(states, [
            [0, length % 3],
            [0, 0],
          ])
          for (let layer = 0; layer < config.decoderLayers; layer++) {
            const [actual, expected] = [own, eager].map((way) =>
              way.crossKeyValue(layer, { states: padded, numTokens: length }),
            )
            assert.ok(distance(actual.key, expected.key) < 3e-6)
            assert.ok(distance(actual.value, expected.value) < 3e-6)
          }
          const bias = random<tf.Tensor4D>(1, config.numHeads, length, length)
          const off = distance(own.encoderLayers(states, bias), eager.encoderLayers(states, bias))
          assert.ok(off < 5e-6, `${length}: ${off}`)
        }
      })
    })
  }

  for (const [name, dtype] of [
    ['free-v10', 'float32'],
    ['free-v11', 'float32'],
    ['free-v10', 'int8'],
    ['free-v11', 'int8'],
  ] as const) {
    const model = readParityModel(name, 1)
    const { config } = model
    const inDtype = (use: (ways: Ways) => void) => withKernels(model, use, dtype)

    it(`${name}, ${dtype}: rows side by side give each to the last bit what it gives alone`, () => {
      inDtype(({ own }) => {
        const [rows, positions, past] = [3, 2, 5]
        const pass = { rows, positions, past, memories: 'own', isMasked: true } as const
        const together = randomGroup(config, pass)(0, config.decoderLayers)
        const hidden = randomTensors()<tf.Tensor2D>(rows * positions, config.dModel)
        const segment = {
          from: 0,
          to: config.decoderLayers,
          exit: { choice: 'probabilities', wantsLogits: false },
        } as const
        const whole = own.run({ ...segment, hidden: allOf(hidden), groups: [together] })
        for (let row = 0; row < rows; row++) {
          const of = <T extends tf.Tensor>(x: T): T => tf.slice(x, [row], [1]) as tf.Tensor as T
          const alone: SegmentGroup = {
            ...together,
            batch: 1,
            past: together.past!.map(of),
            memory: {
              bias: together.memory.bias,
              at: (layer) => {
                const { key, value } = together.memory.at(layer)
                return { key: of(key), value: of(value) }
              },
            },
          }
          const start = row * positions
          const own1 = own.run({
            ...segment,
            hidden: [{ states: hidden, start, count: positions }],
            groups: [alone],
          })
          assert.deepEqual(bitsOf(own1.hidden), bitsOf(tf.slice(whole.hidden, [start, 0], [positions, -1])))
          assert.deepEqual(own1.choices, whole.choices!.slice(start, start + positions))
        }
      })
    })

    it(`${name}, ${dtype}: positions at once give each to the last bit what it gives one by one`, () => {
      inDtype(({ own }) => {
        const positions = 4
        const pass = { rows: 1, positions, past: 3, memories: 'own', isMasked: false } as const
        const group = randomGroup(config, pass)(0, config.decoderLayers)
        const hidden = randomTensors()<tf.Tensor2D>(positions, config.dModel)
        const segment = {
          from: 0,
          to: config.decoderLayers,
          exit: { choice: undefined, wantsLogits: true },
        } as const
        const whole = own.run({ ...segment, hidden: allOf(hidden), groups: [group] })
        let past = group.past
        for (let n = 0; n < positions; n++) {
          const one = { ...group, numPositions: 1, first: group.first + n, past }
          const { present, ...output } = own.run({
            ...segment,
            hidden: [{ states: hidden, start: n, count: 1 }],
            groups: [one],
          })
          for (const part of ['hidden', 'logits'] as const) {
            assert.deepEqual(bitsOf(output[part]!), bitsOf(tf.slice(whole[part]!, [n, 0], [1, -1])), part)
          }
          past = present[0]
        }
      })
    })
  }

  for (const name of names) {
    it(`${name}: in 8 bits near what float32 gives`, () => {
      const model = readParityModel(name, 1)
      const { config } = model
      let largest = 0
      withKernels(
        model,
        ({ own, eager }) => {
          const random = randomTensors()
          for (const length of [5, 97]) {
            const states = random<tf.Tensor2D>(length, config.dModel)
            const bias = random<tf.Tensor4D>(1, config.numHeads, length, length)
            const [actual, expected] = [own, eager].map((way) => way.encoderLayers(states, bias))
            largest = Math.max(largest, distance(actual, expected))
          }
          for (const [from, to] of [
            [0, 1],
            [1, config.decoderLayers],
          ]) {
            const groups = Object.values(passes).map((pass) => randomGroup(config, pass, random)(from, to))
            const rows = groups.reduce((sum, { batch, numPositions }) => sum + batch * numPositions, 0)
            const hidden = random<tf.Tensor2D>(rows, config.dModel)
            const exit = { choice: undefined, wantsLogits: true }
            const [actual, expected] = [own, eager].map((way) =>
              way.run({ from, to, hidden: allOf(hidden), groups, exit }),
            )
            largest = Math.max(largest, distanceOf(actual, expected))
          }
        },
        'int8',
      )
      // Measured: up to 0.053, with random weights; next to nothing would be float32.
      assert.ok(largest > 1e-3 && largest < 0.1, `${largest}`)
    })
  }

  for (const dtype of ['float32', 'int8'] as const) {
    it(`${dtype}: a state that is no number spoils no later pass`, () => {
      // Model widths that leave room in a row, where it might stay.
      const model = readParityModel('asymmetric', 1)
      withKernels(
        model,
        ({ own }) => {
          const pass = { rows: 1, positions: 1, past: 0, memories: 'shared', isMasked: false } as const
          const groups = [randomGroup(model.config, pass)(0, 1)]
          const states = randomTensors()<tf.Tensor2D>(1, model.config.dModel)
          const segment = { from: 0, to: 1, exit: { choice: undefined, wantsLogits: true }, groups } as const
          const before = bitsOf(own.run({ ...segment, hidden: allOf(states) }).logits!)
          const spoiled = own.run({ ...segment, hidden: allOf(tf.mul(states, NaN)) })
          assert.ok(spoiled.logits!.dataSync().every(Number.isNaN))
          assert.deepEqual(bitsOf(own.run({ ...segment, hidden: allOf(states) }).logits!), before)
        },
        dtype,
      )
    })
  }

  it('serve an engine whose states and heads have whole vectors, and no other', async () => {
    assert.equal(kernelsFor(readParityModel('mt5', 1).config), undefined)
    const { config } = readParityModel('free-v10', 1)
    assert.ok(kernelsFor(config))
    assert.equal(kernelsFor({ ...config, dModel: 30 }), undefined)
    const engine = createTfjsEngine(readParityModel('free-v10', 2))
    const { tokens } = await decodeOne(engine, [5, 9, 1], { policy: full(), maxNewTokens: 3 })
    assert.equal(tokens.length, 3)
    engine.dispose()
  })
})
