// The loss of a model's exits as a pure function of their states: cross-entropy at each exit and, as an option,
// distillation of the last exit's logits into another's (Bae et al. 2023, section 3.1 and appendix).
//
// One custom gradient for all of it: the gradients with respect to states and head are computed along with the value,
// so that no tape keeps a [N, V] tensor, no one-hot matrix is made, and distillation reuses the two softmax products.
import * as tf from '@tensorflow/tfjs'
import { IGNORED_LABEL } from '../data/index.js'
import { isRecording, matMulTransposed, scatterAddRows } from '../model/index.js'

/** Distillation of the last exit's logits into another exit's: temperature^2 * KL(last || student), the last detached. */
export interface LogitDistillation {
  /** Position of the student among the exits; not the last. */
  readonly student: number
  readonly weight: number
  /** Both logits are divided by it. Neutral: 1. */
  readonly temperature: number
}

export interface ExitLossOptions {
  /** Weight of each exit's cross-entropy. */
  readonly weights: readonly number[]
  /** Neutral: undefined. */
  readonly distillation?: LogitDistillation
  /** Label smoothing e: (1 - e) nll + e/V sum(-log p). Neutral: 0. */
  readonly labelSmoothing: number
  /** Number of valid tokens of the whole accumulated batch: what every sum is divided by. */
  readonly numTokens: number
}

/** What {@link exitLoss} takes: states after final norm and scale, [N, D] each, and the head as a table [V, D]. */
export interface ExitInputs {
  /** From the lowest exit to the last. */
  readonly exits: readonly tf.Tensor2D[]
  readonly head: tf.Tensor2D
  /** [N] int32, {@link IGNORED_LABEL} where nothing is to be learnt. */
  readonly labels: tf.Tensor1D
  /** The head gets no gradient, and none is computed. Neutral: undefined, it does. */
  readonly isHeadFrozen?: boolean
}

/**
 * The loss as a tensor [2 + exits]: the weighted total, the divergence (times temperature^2, 0 without distillation) and
 * each exit's cross-entropy (each a sum over valid tokens divided by `numTokens`). Only the total has a gradient.
 */
export function exitLoss(inputs: ExitInputs, options: ExitLossOptions): tf.Tensor1D {
  const withGradient = isRecording()
  const { exits, head, isHeadFrozen = false } = inputs
  const op = tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc
    const states = args.slice(0, exits.length) as tf.Tensor2D[]
    const table = (isHeadFrozen ? head : args[exits.length]) as tf.Tensor2D
    const [values, ...gradients] = evaluateExits(
      { ...inputs, exits: states, head: table },
      options,
      withGradient,
    )
    save(gradients)
    return {
      value: values,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const scale = tf.slice(dy, [0], [1])
        return saved.map((gradient) => tf.mul(gradient, scale))
      },
    }
  })
  return op(...exits, ...(isHeadFrozen ? [] : [head])) as tf.Tensor1D
}

/** What all exits share. */
interface Targets {
  readonly head: tf.Tensor2D // [V, D]
  /** 1 / numTokens at valid positions, else 0, [N, 1]. */
  readonly weight: tf.Tensor
  /** Row of the head that the target distribution expects: (1 - e) E[label] + e/V sum(E), [N, D]. */
  readonly target: tf.Tensor
  readonly withGradient: boolean
}

/** What an exit, or a pair of them, adds: to the loss, and as gradients of states and head. */
interface Term {
  readonly losses: tf.Tensor[]
  readonly divergence?: tf.Tensor
  readonly dStates: tf.Tensor[]
  /** What flows into the head through the softmax; the labels' part is done once for all exits. */
  readonly dHead?: tf.Tensor
}

/** The values, then the gradients of the exits and of the head. */
function evaluateExits(inputs: ExitInputs, options: ExitLossOptions, withGradient: boolean): tf.Tensor[] {
  const { exits, head, isHeadFrozen = false } = inputs
  const { weights, distillation, labelSmoothing, numTokens } = options
  return tf.tidy(() => {
    const vocabSize = head.shape[0]
    const isValid = tf.notEqual(inputs.labels, IGNORED_LABEL)
    const weight = tf.expandDims(tf.div(tf.cast(isValid, 'float32'), numTokens), 1)
    const labels = tf.maximum(inputs.labels, tf.scalar(0, 'int32')) as tf.Tensor1D
    const headSum = tf.sum(head, 0, true) // [1, D]
    const target = tf.add(
      tf.mul(tf.gather(head, labels), 1 - labelSmoothing),
      tf.mul(headSum, labelSmoothing / vocabSize),
    )
    const targets = { head, weight, target, withGradient }

    const last = exits.length - 1
    const losses: tf.Tensor[] = []
    const dExits: tf.Tensor[] = []
    const dHeads: tf.Tensor[] = []
    let divergence: tf.Tensor = tf.scalar(0)
    const take = (term: Term, ...places: number[]) => {
      places.forEach((place, i) => {
        losses[place] = term.losses[i]
        dExits[place] = term.dStates[i]
      })
      if (term.dHead) dHeads.push(term.dHead)
      divergence = term.divergence ?? divergence
    }
    exits.forEach((state, i) => {
      const isPaired = distillation && (i === last || i === distillation.student)
      if (!isPaired)
        take(
          inTidy(() => exitTerm(state, weights[i], targets)),
          i,
        )
    })
    if (distillation) {
      const { student } = distillation
      const pair = {
        student: exits[student],
        teacher: exits[last],
        weights: [weights[student], weights[last]] as const,
      }
      take(
        inTidy(() => distilledTerm(pair, distillation, targets)),
        student,
        last,
      )
    }
    const parts = losses.map((loss, i) => tf.mul(loss, weights[i]))
    const total = tf.addN([...parts, tf.mul(divergence, distillation?.weight ?? 0)])
    const values = tf.stack([total, divergence, ...losses])
    if (!withGradient) return [values]
    if (isHeadFrozen) return [values, ...dExits]

    // -sum(target log p) = logSumExp - h . target: what flows into the head through the targets.
    const towardsTarget = tf.mul(
      weight,
      tf.addN(exits.map((exit, i) => tf.mul(exit, weights[i]))),
    ) as tf.Tensor2D
    const smoothed = tf.mul(tf.sum(towardsTarget, 0, true), labelSmoothing / vocabSize)
    const scattered = tf.mul(scatterAddRows(towardsTarget, labels, vocabSize), labelSmoothing - 1)
    return [values, ...dExits, tf.sub(tf.addN([...dHeads, scattered]), smoothed)]
  })
}

/** Frees what is not returned. */
function inTidy(make: () => Term): Term {
  return tf.tidy(make as unknown as () => tf.TensorContainer) as unknown as Term
}

/** Cross-entropy of one exit. */
function exitTerm(state: tf.Tensor2D, exitWeight: number, targets: Targets): Term {
  const softmax = softmaxParts(state, targets.head)
  const losses = [crossEntropy(softmax, state, targets)]
  if (!targets.withGradient) return { losses, dStates: [] }
  const { weight, target, head } = targets
  const dState = tf.mul(tf.sub(expectedRows(softmax, head), target), tf.mul(weight, exitWeight))
  return {
    losses,
    dStates: [dState],
    dHead: throughSoftmax(softmax, tf.mul(state, tf.mul(weight, exitWeight))),
  }
}

/** Cross-entropies of a pair of exits, and the divergence of the student from the detached teacher. */
function distilledTerm(
  pair: {
    readonly student: tf.Tensor2D
    readonly teacher: tf.Tensor2D
    readonly weights: readonly [number, number]
  },
  { weight: k, temperature }: LogitDistillation,
  targets: Targets,
): Term {
  const { student, teacher, weights } = pair
  const { head, weight, target } = targets
  const s = softmaxParts(student, head)
  const t = softmaxParts(teacher, head)
  const losses = [crossEntropy(s, student, targets), crossEntropy(t, teacher, targets)]
  // Logits over temperature are those of states over temperature.
  const isPlain = temperature === 1
  const soften = (state: tf.Tensor2D) => tf.div<tf.Tensor2D>(state, temperature)
  const softS = isPlain ? s : softmaxParts(soften(student), head)
  const softT = isPlain ? t : softmaxParts(soften(teacher), head)
  const tRows = expectedRows(softT, head)
  // KL(t || s) = (h_t - h_s) / temperature . E_t[row] - (logSumExp_t - logSumExp_s).
  const gap = rowDot(tf.div(tf.sub(teacher, student), temperature), tRows)
  const perToken = tf.sub(gap, tf.sub(softT.logSumExp, softS.logSumExp))
  const divergence = tf.mul(tf.sum(tf.mul(perToken, weight)), temperature ** 2)
  if (!targets.withGradient) return { losses, divergence, dStates: [] }

  const [a, b] = weights
  const pull = k * temperature
  const sRows = expectedRows(s, head)
  const softRows = isPlain ? sRows : expectedRows(softS, head)
  const teacherRows = isPlain ? tRows : expectedRows(t, head)
  const dStudent = tf.add(tf.mul(tf.sub(sRows, target), a), tf.mul(tf.sub(softRows, tRows), pull))
  const dTeacher = tf.mul(tf.sub(teacherRows, target), b)

  const [ofStudent, ofTeacher] = [tf.mul(student, weight), tf.mul(teacher, tf.mul(weight, b))]
  const pulled = tf.mul(ofStudent, pull)
  const dHead = isPlain
    ? tf.add(throughSoftmax(s, tf.mul(ofStudent, a + k)), throughSoftmax(t, tf.sub(ofTeacher, pulled)))
    : tf.addN([
        throughSoftmax(s, tf.mul(ofStudent, a)),
        throughSoftmax(t, ofTeacher),
        throughSoftmax(softS, pulled),
        throughSoftmax(softT, tf.neg(pulled)),
      ])
  return { losses, divergence, dStates: [tf.mul(dStudent, weight), tf.mul(dTeacher, weight)], dHead }
}

interface SoftmaxParts {
  readonly exp: tf.Tensor2D // [N, V], exp(logits - max)
  readonly sum: tf.Tensor2D // [N, 1]
  readonly logSumExp: tf.Tensor2D // [N, 1]
}

function softmaxParts(states: tf.Tensor2D, head: tf.Tensor2D): SoftmaxParts {
  const [exp, sum, logSumExp] = tf.tidy(() => {
    const logits = matMulTransposed(states, head, false, true)
    const max = tf.max(logits, 1, true)
    const exp = tf.exp(tf.sub(logits, max))
    const sum = tf.sum(exp, 1, true)
    return [exp, sum, tf.add(tf.log(sum), max)]
  })
  return { exp, sum, logSumExp } as SoftmaxParts
}

function crossEntropy(
  { logSumExp }: SoftmaxParts,
  state: tf.Tensor2D,
  { target, weight }: Targets,
): tf.Tensor {
  return tf.sum(tf.mul(tf.sub(logSumExp, rowDot(state, target)), weight))
}

/** The head's row expected under the softmax: p E, [N, D]. */
function expectedRows(softmax: SoftmaxParts, head: tf.Tensor2D): tf.Tensor2D {
  return tf.div(tf.matMul(softmax.exp, head), softmax.sum)
}

/** p^T rows, [V, D]: what flows into the head where each position's logits pull by its row. */
function throughSoftmax(softmax: SoftmaxParts, rows: tf.Tensor): tf.Tensor2D {
  return matMulTransposed(softmax.exp, tf.div(rows, softmax.sum) as tf.Tensor2D, true, false)
}

function rowDot(x: tf.Tensor, y: tf.Tensor): tf.Tensor {
  return tf.sum(tf.mul(x, y), 1, true)
}
