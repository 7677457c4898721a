// Parameters stacked by shape: what goes in comes out, in its own place.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import fc from 'fast-check'
import { parseModelConfig, weightSpecs } from '../../src/config/index.js'
import { buildModel, initialWeights } from '../../src/model/index.js'
import { groupParameters } from '../../src/training/index.js'
import { onEachBackend } from './onEachBackend.js'

describe('parameter groups', () => {
  onEachBackend(() => {
    it('stacked and assigned again, every parameter keeps its values; changed, it takes its own', () => {
      const shape = fc.constantFrom<number[][]>([1], [4], [2, 3], [3, 2], [1, 4], [6, 1])
      fc.assert(
        fc.property(fc.array(shape, { minLength: 1, maxLength: 12 }), (shapes) => {
          const { numTensors } = tf.memory()
          let count = 0
          const next = () => ++count
          const draw = (dims: number[]) => Array.from({ length: dims.reduce((a, b) => a * b) }, next)
          const variables = new Map(
            shapes.map((dims, i) => [`p${i}`, tf.tidy(() => tf.variable(tf.tensor(draw(dims), dims)))]),
          )
          const read = () => new Map([...variables].map(([name, variable]) => [name, variable.arraySync()]))
          const start = read()
          const groups = groupParameters(variables)
          tf.tidy(() => groups.forEach((group) => group.assign(group.stackValues())))
          assert.deepEqual(read(), start)

          const replacements = new Map(
            [...variables].map(([name, { shape }]) => [name, tf.tensor(draw(shape), shape)]),
          )
          const byName = Object.fromEntries(replacements)
          tf.tidy(() => groups.forEach((group) => group.assign(group.stack(byName))))
          replacements.forEach((wanted, name) =>
            assert.deepEqual(variables.get(name)!.arraySync(), wanted.arraySync()),
          )
          tf.dispose([byName, [...variables.values()]])
          assert.equal(tf.memory().numTensors, numTensors)
        }),
      )
    })

    it('one group a shape, each parameter in exactly one; a matrix and its transpose are apart', () => {
      const variables = new Map(
        [
          ['a', [2, 3]],
          ['b', [3, 2]],
          ['c', [6]],
          ['d', [2, 3]],
          ['e', [6]],
        ].map(([name, shape]) => [name as string, tf.variable(tf.zeros(shape as number[]))]),
      )
      const groups = groupParameters(variables)
      assert.deepEqual(
        groups.map(({ key, shape, names }) => ({ key, shape: [...shape], names: [...names] })),
        [
          { key: '2x3', shape: [2, 3], names: ['a', 'd'] },
          { key: '3x2', shape: [3, 2], names: ['b'] },
          { key: '6', shape: [6], names: ['c', 'e'] },
        ],
      )
      assert.deepEqual(
        groups.map((group) => tf.tidy(() => group.stackValues().shape)),
        [
          [2, 2, 3],
          [1, 3, 2],
          [2, 6],
        ],
      )
      tf.dispose([...variables.values()])
    })

    it('cover all weights of a model', () => {
      const shape = {
        vocabSize: 9,
        dModel: 4,
        numHeads: 2,
        dKv: 3,
        dFf: 5,
        encoderLayers: 2,
        decoderLayers: 3,
      }
      const config = parseModelConfig({ ...shape, shallowLayers: 1, feedForward: 'gated-gelu' }, 'test')
      const model = buildModel(config, initialWeights(config, 1))
      const names = groupParameters(model.variables).flatMap((group) => group.names)
      assert.deepEqual(
        names.toSorted(),
        weightSpecs(config)
          .map(({ name }) => name)
          .toSorted(),
      )
      model.dispose()
    })
  })
})
