// Distillation of states: the shallow layers' states are pulled towards deep ones (Bae et al. 2023, section 3.1 and
// appendix; the dynamic pairing is that of Xia et al. 2022, CoFi). All states are those after the final norm.
import * as tf from '@tensorflow/tfjs'
import { IGNORED_LABEL } from '../data/index.js'
import { isRecording } from '../model/index.js'

/** How student layers find their teachers. */
export type StatePairing = 'last' | 'uniform' | 'dynamic'

/** A student layer (1..S) and the deep layer whose state it is to have. */
export interface LayerPair {
  readonly student: number
  readonly teacher: number
}

/** The teachers of the student layers 1..S: layer ceil(i * L / S) for student i. */
export function teacherLayers(shallowLayers: number, decoderLayers: number): number[] {
  return Array.from({ length: shallowLayers }, (_, i) => Math.ceil(((i + 1) * decoderLayers) / shallowLayers))
}

/** The pairs that do not depend on the batch: `last`, S to L; `uniform`, each student to its own teacher. */
export function fixedPairs(
  pairing: 'last' | 'uniform',
  shallowLayers: number,
  decoderLayers: number,
): LayerPair[] {
  if (pairing === 'last') return [{ student: shallowLayers, teacher: decoderLayers }]
  return teacherLayers(shallowLayers, decoderLayers).map((teacher, i) => ({ student: i + 1, teacher }))
}

/**
 * For each teacher, from the top down, the student with the smallest error among those strictly below the previous match,
 * the lower on ties; where none is left, the previous match again.
 * @param teachers ascending
 * @param errorOf error of a student layer (from 1) against a teacher layer
 */
export function matchPairs(teachers: readonly number[], errorOf: (pair: LayerPair) => number): LayerPair[] {
  let previous = teachers.length + 1
  return teachers.toReversed().map((teacher) => {
    let best = previous > 1 ? 1 : previous
    for (let student = 2; student < previous; student++) {
      if (errorOf({ student, teacher }) < errorOf({ student: best, teacher })) best = student
    }
    previous = best
    return { student: best, teacher }
  })
}

/** States [N, D] by layer, from 1. */
export type StatesByLayer = ReadonlyMap<number, tf.Tensor2D>

/**
 * Squared error between students and their detached teachers, averaged over D, valid tokens and pairs: a scalar with a
 * gradient for the students only. `numTokens`: valid tokens of the whole accumulated batch. `dynamic` matches on the rows
 * that it is given, so that a batch that goes through in parts is matched part by part.
 */
export function stateDistillation(
  states: {
    readonly students: StatesByLayer
    readonly teachers: StatesByLayer
    readonly labels: tf.Tensor1D
  },
  options: { readonly pairing: StatePairing; readonly numTokens: number },
): tf.Scalar {
  const withGradient = isRecording()
  const layers = [...states.students.keys()]
  const op = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc
    const students = new Map(layers.map((layer, i) => [layer, args[i] as tf.Tensor2D]))
    const [value, ...gradients] = tf.tidy(() => evaluate({ ...states, students }, options, withGradient))
    save(gradients)
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => saved.map((gradient) => tf.mul(gradient, dy)),
    }
  })
  return op(...states.students.values()) as tf.Scalar
}

function evaluate(
  { students, teachers, labels }: Parameters<typeof stateDistillation>[0],
  { pairing, numTokens }: Parameters<typeof stateDistillation>[1],
  withGradient: boolean,
): tf.Tensor[] {
  const isValid = tf.expandDims(tf.cast(tf.notEqual(labels, IGNORED_LABEL), 'float32'), 1) // [N, 1]
  const differences = new Map<string, tf.Tensor>()
  const difference = ({ student, teacher }: LayerPair) => {
    const key = `${student} ${teacher}`
    const found = differences.get(key)
    if (found) return found
    const made = tf.mul(tf.sub(students.get(student)!, teachers.get(teacher)!), isValid)
    differences.set(key, made)
    return made
  }
  // Rows first: wasm adds up one by one in float32, and over all at once loses digits.
  const squared = (pair: LayerPair) => tf.sum(tf.sum(tf.square(difference(pair)), 1))
  const [shallowLayers, decoderLayers] = [Math.max(...students.keys()), Math.max(...teachers.keys())]
  const pairs =
    pairing === 'dynamic'
      ? pairByError([...students.keys()], [...teachers.keys()], squared)
      : fixedPairs(pairing, shallowLayers, decoderLayers)
  const width = students.get(shallowLayers)!.shape[1]
  const scale = 1 / (width * numTokens * pairs.length)
  const value = tf.mul(tf.addN(pairs.map(squared)), scale)
  if (!withGradient) return [value]
  const gradients = [...students].map(([layer, state]) => {
    const own = pairs.filter(({ student }) => student === layer).map(difference)
    return own.length === 0 ? tf.zerosLike(state) : tf.mul(tf.addN(own), 2 * scale)
  })
  return [value, ...gradients]
}

/** One host read for all errors. */
function pairByError(
  students: readonly number[],
  teachers: readonly number[],
  squared: (pair: LayerPair) => tf.Tensor,
): LayerPair[] {
  const all = teachers.flatMap((teacher) => students.map((student) => ({ student, teacher })))
  const errors = tf.stack(all.map(squared)).dataSync()
  const key = ({ student, teacher }: LayerPair) => `${student} ${teacher}`
  const byPair = new Map(all.map((pair, i) => [key(pair), errors[i]]))
  return matchPairs(teachers, (pair) => byPair.get(key(pair))!)
}
