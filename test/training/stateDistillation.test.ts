// How student layers find their teachers, and the gradient of what pulls them together. Values: objectives.test.ts.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import fc from 'fast-check'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { Random } from '../../src/random.js'
import {
  fixedPairs,
  matchPairs,
  stateDistillation,
  teacherLayers,
  type StatePairing,
} from '../../src/training/index.js'

const shallowAndDeep = fc
  .tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }))
  .map(([shallow, more]) => [shallow, shallow + more] as const)

describe('pairs of layers', () => {
  it('last pairs S with L; uniform spreads the teachers, the last of them L', () => {
    assert.deepEqual(fixedPairs('last', 2, 8), [{ student: 2, teacher: 8 }])
    assert.deepEqual(teacherLayers(3, 8), [3, 6, 8])
    fc.assert(
      fc.property(shallowAndDeep, ([S, L]) => {
        const pairs = fixedPairs('uniform', S, L)
        assert.deepEqual(
          pairs.map(({ student }) => student),
          Array.from({ length: S }, (_, i) => i + 1),
        )
        assert.equal(pairs.at(-1)!.teacher, L)
        for (const { student, teacher } of pairs) {
          assert.ok(teacher > student && teacher - 1 < (student * L) / S && (student * L) / S <= teacher)
        }
      }),
    )
  })

  it('dynamic takes from the top down the most similar below the previous match, then that match again', () => {
    const errors: Record<number, number[]> = { 3: [5, 1, 9], 6: [7, 0, 2], 8: [4, 3, 8] }
    const match = (changed: Record<number, number[]> = {}) =>
      matchPairs([3, 6, 8], ({ student, teacher }) => ({ ...errors, ...changed })[teacher][student - 1]).map(
        ({ student, teacher }) => [student, teacher],
      )
    // 8 takes 2; 6 has only 1 below it; nothing is left for 3.
    assert.deepEqual(match(), [
      [2, 8],
      [1, 6],
      [1, 3],
    ])
    // 6 may not take 2, the most similar of all, where 8 has taken it; nor 3, which lies above.
    assert.deepEqual(match({ 8: [4, 4, 3] }), [
      [3, 8],
      [2, 6],
      [1, 3],
    ])
    // The lower on ties.
    assert.deepEqual(match({ 8: [3, 3, 3] }), [
      [1, 8],
      [1, 6],
      [1, 3],
    ])
  })

  it('dynamic has a pair for each teacher, its students never rise, and each is the best of those left', () => {
    fc.assert(
      fc.property(shallowAndDeep, fc.nat(), ([S, L], seed) => {
        const random = new Random(seed)
        const error = new Map<string, number>()
        const errorOf = ({ student, teacher }: { student: number; teacher: number }) => {
          const key = `${student} ${teacher}`
          if (!error.has(key)) error.set(key, random.integer(4))
          return error.get(key)!
        }
        const teachers = teacherLayers(S, L)
        let limit = S + 1
        const pairs = matchPairs(teachers, errorOf)
        assert.deepEqual(
          pairs.map(({ teacher }) => teacher),
          teachers.toReversed(),
        )
        for (const { student, teacher } of pairs) {
          const candidates = Array.from({ length: limit - 1 }, (_, i) => i + 1)
          if (candidates.length === 0) assert.equal(student, limit)
          else {
            const best = Math.min(...candidates.map((candidate) => errorOf({ student: candidate, teacher })))
            const lowest = candidates.find((candidate) => errorOf({ student: candidate, teacher }) === best)
            assert.equal(student, lowest)
          }
          limit = student
        }
      }),
    )
  })
})

describe('the distillation of states', () => {
  before(() => chooseBackend({ backend: 'wasm' }))

  it('value and gradient are the textbook formula’s over its pairs; ignored rows count for nothing', () => {
    const pairings: StatePairing[] = ['last', 'uniform', 'dynamic']
    const [N, D, S, L] = [7, 4, 3, 5]
    fc.assert(
      fc.property(fc.constantFrom(...pairings), fc.nat(1000), (pairing, seed) => {
        const { numTensors } = tf.memory()
        tf.tidy(() => {
          const random = new Random(seed)
          const draw = () =>
            tf.tensor2d(
              Float32Array.from({ length: N * D }, () => random.normal()),
              [N, D],
            )
          const pairs = fixedPairs(pairing === 'last' ? 'last' : 'uniform', S, L)
          const layers = pairs.map(({ student }) => student)
          const teachers = new Map(pairs.map(({ teacher }) => [teacher, draw()]))
          const labels = tf.tensor1d([3, -100, 5, 1, -100, 2, 9], 'int32')
          const value = (states: readonly tf.Tensor[]) =>
            stateDistillation(
              {
                students: new Map(layers.map((layer, i) => [layer, states[i] as tf.Tensor2D])),
                teachers,
                labels,
              },
              { pairing, numTokens: 5 },
            )
          const states = layers.map(draw)
          const gradients = tf.grads((...xs: tf.Tensor[]) => tf.mul(value(xs), 2))(states)
          const isValid = tf.tensor2d([1, 0, 1, 1, 0, 1, 1], [N, 1])
          const error = (x: tf.Tensor, teacher: number) =>
            tf.div(tf.sum(tf.mul(tf.square(tf.sub(x, teachers.get(teacher)!)), isValid)), D * 5)
          // A pairing by error has no slope where two errors cross: the pairs are found first, then held.
          const stateOf = (xs: readonly tf.Tensor[], student: number) => xs[layers.indexOf(student)]
          const used =
            pairing === 'dynamic'
              ? matchPairs(
                  [...teachers.keys()],
                  ({ student, teacher }) => error(stateOf(states, student), teacher).dataSync()[0],
                )
              : pairs
          const textbook = (xs: readonly tf.Tensor[]) => {
            const errors = used.map(({ student, teacher }) => error(stateOf(xs, student), teacher))
            return tf.div(tf.addN(errors), used.length)
          }
          const found = value(states).dataSync()[0]
          assert.ok(Math.abs(found - textbook(states).dataSync()[0]) < 1e-5)
          const wanted = states.map((_, i) =>
            tf.grad((x) =>
              tf.mul(textbook(states.map((other, j) => (i === j ? x : tf.add(other, tf.mul(x, 0))))), 2),
            )(states[i]),
          )
          gradients.forEach((gradient, i) => {
            assert.ok(
              tf.max(tf.abs(tf.sub(gradient, wanted[i]))).dataSync()[0] < 1e-5,
              `student ${layers[i]}`,
            )
          })
          for (const gradient of gradients) {
            const rows = gradient.arraySync() as number[][]
            for (const ignored of [1, 4]) assert.ok(rows[ignored].every((x) => x === 0))
          }
        })
        assert.equal(tf.memory().numTensors, numTensors)
      }),
      { numRuns: 60 },
    )
  })
})
