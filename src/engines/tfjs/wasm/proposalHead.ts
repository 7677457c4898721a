// An exit's choice without reading all of the float32 head: an 8-bit head proposes a few tokens, their logits are computed
// exactly, and a bound shows what no other token can reach. Where nothing is shown, the head itself is to be asked.
import * as tf from '@tensorflow/tfjs'
import type { ExitChoice } from '../../../decoding/index.js'
import type { HostWeight } from '../../../model/index.js'
import type { SegmentExit } from '../segmentExit.js'
import { LANES, type Kernels } from './kernels.js'
import { byteOf, QuantisedMatrix, scalesOf } from './quantisedMatrix.js'
import { QuantisedRows } from './quantisedRows.js'
import { FLOAT, rowsFrom } from './rows.js'

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
/** How many floats there are among results: those of `lowestBest`, those of `massOf`, and a list of tokens. */
const NUM_RESULTS = Math.max(2 * LANES, MOST_TOKENS + 1)
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

/** A token and its exact logit. */
interface Proposed {
  readonly token: number
  readonly logit: number
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
  /** Where kernels leave what they find. */
  private readonly results: number
  /** Of logits. */
  private room: { readonly at: number; readonly rows: number } | undefined
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
    this.results = kernels.allocate(FLOAT * NUM_RESULTS)
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
   * What the float32 head chooses at normed states [N, D]; undefined where that is not shown. Of `probabilities` bounds are
   * shown, and what lies between them is near the exact answer: `settles` says whether that will do.
   */
  choose(
    normed: tf.Tensor2D,
    { choice, settles }: Pick<SegmentExit, 'choice' | 'settles'>,
  ): (ExitChoice | undefined)[] {
    const [rows] = normed.shape
    const isAsked = choice === 'token' ? this.isWorthwhile : settles !== undefined
    if (rows === 0 || !isAsked) return Array.from({ length: rows }, () => undefined)
    return this.propose(normed).map((position, n) => {
      const best = position && this.best(position, choice === 'token' ? 1 : 2)
      if (choice === 'token') {
        this.tally.asked++
        if (best) this.tally.shown++
        return best && { token: best[0].token }
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
    if (this.room) this.kernels.free(this.room.at)
  }

  /** Flat heads show little. What is chosen is the same either way, so that counts may decide. */
  private get isWorthwhile(): boolean {
    const { asked, shown } = this.tally
    return asked < 64 || 2 * shown >= asked
  }

  /** Every token's logit by the 8-bit head, position by position; undefined at states that are not numbers. */
  private propose(normed: tf.Tensor2D): (Position | undefined)[] {
    const { kernels, matrix, longest } = this
    const [rows, depth] = normed.shape
    const exact = { at: kernels.at(normed), stride: depth }
    const states = this.states.make(exact, rows, depth)
    const logits = { at: this.roomFor(rows), stride: matrix.stride }
    matrix.multiplyQuantised(states, logits.at, rows)
    return Array.from({ length: rows }, (_, n): Position | undefined => {
      const { length, off } = this.states.lengths(states, n)
      if (!(length < Infinity)) return undefined
      // What the sums of squares are off by, and each number's own rounding.
      const upwards = 1 + roundingOf(depth)
      return {
        state: rowsFrom(exact, n).at,
        logits: rowsFrom(logits, n).at,
        factor: length * upwards,
        rest: (off * upwards + length * 2 ** -22) * longest,
      }
    })
  }

  /**
   * The tokens, best first, that may be among the `count` best, the lower id first of equal logits; undefined where that
   * may be too many.
   */
  private best({ state, logits, factor, rest }: Position, count: number): Proposed[] | undefined {
    const { kernels, slack, results } = this
    const [depth, vocabSize] = this.plain.shape
    const scanned = [logits, kernels.at(slack), vocabSize, factor, rest] as const
    kernels.run.lowestBest(...scanned, results)
    const limit = kernels
      .floats(results, 2 * LANES)
      .slice()
      .sort()[2 * LANES - count]
    const list = (least: number) => kernels.run.listAbove(...scanned, least, results, MOST_TOKENS + 1)
    // Probabilities come nearer the exact ones with what else is of weight in their sum.
    let found = count > 1 ? list(limit - REACH) : 0
    if (found === 0 || found > FEW_TOKENS) found = list(limit)
    if (found < count || found > MOST_TOKENS) return undefined
    const head = kernels.at(this.plain)
    const tokens = Array.from(new Uint32Array(kernels.floats(results, 1).buffer, results, found))
    return tokens
      .map((token) => ({
        token,
        logit: kernels.run.column(state, head + FLOAT * token, depth, FLOAT * vocabSize),
      }))
      .sort((a, b) => b.logit - a.logit || a.token - b.token)
  }

  /** Both probabilities, within what bounds allow: those of the best tokens are exact but for the sum over all others. */
  private probabilities({ logits, factor, rest }: Position, best: readonly Proposed[]) {
    const { kernels, slack, results } = this
    const [, vocabSize] = this.plain.shape
    if (factor * this.largestSlack + rest > LARGEST_BOUND) return undefined
    const [first, second] = best
    kernels.run.massOf(logits, kernels.at(slack), vocabSize, factor, rest, first.logit, results)
    let [mass, off] = kernels.floats(results, 2)
    let known = 0
    for (const { token, logit } of best) {
      const proposed = Math.exp(kernels.floats(logits + FLOAT * token, 1)[0] - first.logit)
      const bound = factor * kernels.floats(kernels.at(slack) + FLOAT * token, 1)[0] + rest
      known += Math.exp(logit - first.logit)
      mass += Math.exp(logit - first.logit) - proposed
      off -= proposed * (bound + bound * bound)
    }
    // By rounding the others may come to less than nothing.
    mass = Math.max(mass, known)
    off = Math.max(off, 0) + MASS_ROUNDING * mass
    const ratio = Math.exp(second.logit - first.logit)
    const choiceOf = (sum: number): ExitChoice => ({ token: first.token, top1: 1 / sum, top2: ratio / sum })
    return { near: choiceOf(mass), low: choiceOf(mass + off), high: choiceOf(Math.max(known, mass - off)) }
  }

  /** Where logits of so many positions have room. */
  private roomFor(rows: number): number {
    const { kernels, matrix } = this
    if (this.room && this.room.rows >= rows) return this.room.at
    if (this.room) kernels.free(this.room.at)
    this.room = { at: kernels.allocate(FLOAT * rows * matrix.stride), rows }
    return this.room.at
  }
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
