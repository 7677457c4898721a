// An exit's choice without reading all of the float32 head: an 8-bit head proposes a few tokens, their logits are computed
// exactly, and a bound shows what no other token can reach. Where nothing is shown, the head itself is to be asked.
import * as tf from '@tensorflow/tfjs'
import type { ExitChoice } from '../../../decoding/index.js'
import type { HostWeight } from '../../../model/index.js'
import type { SegmentExit } from '../segmentExit.js'
import { LANES, type Kernels } from './kernels.js'
import { byteOf, QuantisedMatrix, scalesOf } from './quantisedMatrix.js'
import { QuantisedRows } from './quantisedRows.js'
import { Room } from './room.js'
import { FLOAT, rowsFrom, type Rows } from './rows.js'

/** Most tokens whose logits are computed exactly. */
const MOST_TOKENS = 64
/** Tokens that may be added to those that must, and how far their logits may be from the second best. */
const [FEW_TOKENS, REACH] = [24, 2.5]
/** Below, the float32 head is about as fast. */
const FEWEST_TOKENS = 2048
/** Past this a bound's exponential is more than what `massOf` takes it for. */
const LARGEST_BOUND = 1.5
/** Makes up for the rounding of a bound to float32. */
const UPWARDS = 1 + 2 ** -20
/** Room for tokens, or their logits, in whole {@link LANES}. */
const LIST = MOST_TOKENS + LANES
/** What a sum over the vocabulary in float32 may be off by, as a share. */
const MASS_ROUNDING = 2e-5

/** How far a proposed logit may be from the exact one: a token's slack times `factor`, and `rest`. */
interface Bound {
  readonly factor: number
  readonly rest: number
}

/** A position: where its state and its proposed logits lie. */
interface Position extends Bound {
  readonly state: number
  readonly logits: number
}

/** The tokens that may be the best ones, whose exact logits are known. */
interface Proposed {
  /** Floats of the memory: where the tokens and their logits stand. */
  readonly tokens: number
  readonly logits: number
  readonly count: number
  /** The best two; of equal logits the lower id first. One where there is no second. */
  readonly first: { readonly token: number; readonly logit: number }
  readonly second: { readonly token: number; readonly logit: number }
}

/** Owns its 8-bit head, not the float32 one. */
export class ProposalHead {
  private readonly matrix: QuantisedMatrix
  private readonly states: QuantisedRows
  /** How far a token's logit may be off, for states of length 1. */
  private readonly slack: tf.Tensor1D
  private readonly largestSlack: number
  /** The longest column of the 8-bit head. */
  private readonly longest: number
  /** Where kernels leave what they find: numbers, then a list of tokens and one of their logits. */
  private readonly results: number
  private readonly logits: Room
  /** Positions whose token was asked for, and those where it was shown. */
  private readonly tally = { asked: 0, shown: 0 }

  private constructor(
    private readonly kernels: Kernels,
    private readonly plain: tf.Tensor2D,
    head: HostWeight,
    { slack, longest }: Slack,
  ) {
    this.states = new QuantisedRows(kernels)
    this.matrix = new QuantisedMatrix(kernels, this.states, head)
    this.slack = tf.keep(tf.tensor1d(slack))
    this.largestSlack = slack.reduce((most, x) => Math.max(most, x), 0)
    this.longest = longest
    this.results = kernels.allocate(FLOAT * (2 * LANES + 2 * LIST))
    this.logits = new Room(kernels)
  }

  /**
   * For a head [D, V] that is uploaded as `plain`; undefined where it would not pay, or the head is not made of numbers.
   * The caller disposes it, before the float32 one.
   */
  static of(kernels: Kernels, plain: tf.Tensor2D, head: HostWeight): ProposalHead | undefined {
    const [, vocabSize] = plain.shape
    if (vocabSize < FEWEST_TOKENS || vocabSize % LANES > 0) return undefined
    const slack = slackOf(head)
    return slack && new ProposalHead(kernels, plain, head, slack)
  }

  /**
   * What the float32 head chooses at rows of normed states; undefined where that is not shown. Of `probabilities` bounds are
   * shown, and what lies between them is near the exact answer: `settles` says whether that will do.
   */
  choose(
    normed: Rows,
    rows: number,
    { choice, settles }: Pick<SegmentExit, 'choice' | 'settles'>,
  ): (ExitChoice | undefined)[] {
    const isAsked = choice === 'token' ? this.isWorthwhile : settles !== undefined
    if (rows === 0 || !isAsked) return Array.from({ length: rows }, () => undefined)
    return this.propose(normed, rows).map((position, n) => {
      const best = position && this.best(position, choice === 'token' ? 1 : 2)
      if (choice === 'token') {
        this.tally.asked++
        if (best) this.tally.shown++
        return best && { token: best.first.token }
      }
      const shown = best && this.probabilities(position, best)
      return shown && settles!(n, shown.low, shown.high) ? shown.near : undefined
    })
  }

  /** Idempotent. */
  dispose(): void {
    if (this.slack.isDisposed) return
    this.slack.dispose()
    this.matrix.dispose()
    this.states.dispose()
    this.kernels.free(this.results)
    this.logits.dispose()
  }

  /** Flat heads show little. What is chosen is the same either way, so that counts may decide. */
  private get isWorthwhile(): boolean {
    const { asked, shown } = this.tally
    return asked < 64 || 2 * shown >= asked
  }

  /** Every token's logit by the 8-bit head, position by position; undefined at states that are not numbers. */
  private propose(normed: Rows, rows: number): (Position | undefined)[] {
    const { matrix, longest } = this
    const [depth] = matrix.shape
    const states = this.states.make(normed, rows, depth)
    const logits = { at: this.logits.reserve(FLOAT * rows * matrix.stride), stride: matrix.stride }
    matrix.multiplyQuantised(states, logits.at, rows)
    return Array.from({ length: rows }, (_, n): Position | undefined => {
      const { length, off } = this.states.lengths(states, n)
      if (!(length < Infinity)) return undefined
      // What the sums of squares are off by, and each number's own rounding.
      const upwards = 1 + roundingOf(depth)
      return {
        state: rowsFrom(normed, n).at,
        logits: rowsFrom(logits, n).at,
        factor: length * upwards,
        rest: (off * upwards + length * 2 ** -22) * longest,
      }
    })
  }

  /** The tokens that may be among the `count` best; undefined where that may be too many. */
  private best({ state, logits, factor, rest }: Position, count: number): Proposed | undefined {
    const { kernels, results } = this
    const [depth, vocabSize] = this.plain.shape
    const scanned = [logits, this.slackAt, vocabSize, factor, rest] as const
    kernels.run.lowestBest(...scanned, results)
    const { heap } = kernels
    const [largest, next] = largestTwo(heap, results / FLOAT, 2 * LANES)
    const limit = heap[count > 1 ? next : largest]
    const tokens = results + FLOAT * 2 * LANES
    const list = (least: number) => kernels.run.listAbove(...scanned, least, tokens, MOST_TOKENS + 1)
    // Probabilities come nearer the exact ones with what else is of weight in their sum.
    let found = count > 1 ? list(limit - REACH) : 0
    if (found === 0 || found > FEW_TOKENS) found = list(limit)
    if (found < count || found > MOST_TOKENS) return undefined
    const exact = tokens + FLOAT * LIST
    kernels.run.columns(state, kernels.at(this.plain), depth, FLOAT * vocabSize, tokens, found, exact)
    const [first, second] = largestTwo(heap, exact / FLOAT, found).map((at) => ({
      token: heap[at - LIST],
      logit: heap[at],
    }))
    return { tokens: tokens / FLOAT, logits: exact / FLOAT, count: found, first, second }
  }

  /** Both probabilities, within what bounds allow: those of the best tokens are exact but for the sum over all others. */
  private probabilities({ logits, factor, rest }: Position, best: Proposed) {
    const { kernels, results } = this
    const [, vocabSize] = this.plain.shape
    if (factor * this.largestSlack + rest > LARGEST_BOUND) return undefined
    const { first, second } = best
    kernels.run.massOf(logits, this.slackAt, vocabSize, factor, rest, first.logit, results)
    const { heap } = kernels
    const at = results / FLOAT
    let [mass, off, known] = [heap[at], heap[at + 1], 0]
    for (let i = 0; i < best.count; i++) {
      const token = heap[best.tokens + i]
      const exact = Math.exp(heap[best.logits + i] - first.logit)
      const proposed = Math.exp(heap[logits / FLOAT + token] - first.logit)
      const bound = factor * heap[this.slackAt / FLOAT + token] + rest
      known += exact
      mass += exact - proposed
      off -= proposed * (bound + bound * bound)
    }
    // By rounding the others may come to less than nothing.
    mass = Math.max(mass, known)
    off = Math.max(off, 0) + MASS_ROUNDING * mass
    const ratio = Math.exp(second.logit - first.logit)
    const choiceOf = (sum: number): ExitChoice => ({ token: first.token, top1: 1 / sum, top2: ratio / sum })
    return { near: choiceOf(mass), low: choiceOf(mass + off), high: choiceOf(Math.max(known, mass - off)) }
  }

  private get slackAt(): number {
    return this.kernels.at(this.slack)
  }
}

/** Where the two largest of some numbers stand, of equal ones the first one first; twice the same of a lone one. */
function largestTwo(numbers: Float32Array, start: number, count: number): [number, number] {
  let [largest, next] = [start, start]
  for (let i = start + 1; i < start + count; i++) {
    if (numbers[i] > numbers[largest]) [largest, next] = [i, largest]
    else if (next === largest || numbers[i] > numbers[next]) next = i
  }
  return [largest, next]
}

interface Slack {
  readonly slack: Float32Array
  readonly longest: number
}

/** What a head [D, V] may be off by in 8 bits; undefined where it holds what is no number. */
function slackOf(head: HostWeight): Slack | undefined {
  const { data, shape } = head
  const [depth, vocabSize] = shape
  const scales = scalesOf(head)
  if (!scales.every(Number.isFinite)) return undefined
  const [squares, quantised, off] = [0, 0, 0].map(() => new Float64Array(vocabSize))
  for (let i = 0; i < data.length;) {
    for (let token = 0; token < vocabSize; token++, i++) {
      const value = byteOf(data[i], scales[token]) * scales[token]
      squares[token] += data[i] ** 2
      quantised[token] += value ** 2
      off[token] += (data[i] - value) ** 2
    }
  }
  const slack = new Float32Array(vocabSize)
  const rounding = roundingOf(depth)
  let longest = 0
  for (let token = 0; token < vocabSize; token++) {
    const [length, length8] = [Math.sqrt(squares[token]), Math.sqrt(quantised[token])]
    slack[token] = (Math.sqrt(off[token]) + rounding * (length + length8)) * UPWARDS
    longest = Math.max(longest, length8)
  }
  return { slack, longest }
}

/**
 * What float32 may be off by as a share of the factors' lengths: the exact logit's sum of D products, and the few roundings
 * of a proposed one and its bound.
 */
function roundingOf(depth: number): number {
  return (depth + 16) * 2 ** -24
}
