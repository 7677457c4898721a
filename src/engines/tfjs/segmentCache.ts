// What the rows of a session keep of one segment: keys and values of the positions they have computed, and the states
// that wait for it. Rows that went through the segment in step lie beside each other in the same tensors, and stay there
// until they part.
import * as tf from '@tensorflow/tfjs'
import { takeFirst } from '../../model/index.js'
import type { KeptStates, StateRows } from './segments.js'
import { Shared } from './shared.js'

/** Of some rows that went through the segment in step. */
type Block = Shared<tf.Tensor4D[]>

/** States of consecutive positions of a row: `count` rows of a tensor [N, D] from `start` on. */
export interface StateRange {
  readonly states: Shared<tf.Tensor2D>
  readonly start: number
  readonly count: number
}

interface CachedRow {
  /** Positions computed, which may be fewer than the block holds. */
  readonly length: number
  /** Where their keys and values lie; undefined before the first position. */
  readonly block: Block | undefined
  readonly index: number
  /** The positions after those computed, in order. */
  readonly waiting: readonly StateRange[]
}

const EMPTY: CachedRow = { length: 0, block: undefined, index: 0, waiting: [] }

/** Owns all its tensors, but what is borrowed. */
export class SegmentCache {
  private readonly rows: CachedRow[]

  constructor(numRows: number) {
    this.rows = Array.from({ length: numRows }, () => EMPTY)
  }

  /** Positions of a row that have been computed. */
  length(row: number): number {
    return this.rows[row].length
  }

  numWaiting(row: number): number {
    return this.rows[row].waiting.reduce((sum, { count }) => sum + count, 0)
  }

  /** Adds the states of a row's next positions. */
  add(row: number, range: StateRange): void {
    range.states.hold()
    const cached = this.rows[row]
    this.rows[row] = { ...cached, waiting: [...cached.waiting, range] }
  }

  /** The states of all positions of some rows that wait, row after row. */
  input(rows: readonly number[]): StateRows[] {
    const ranges: StateRange[] = []
    for (const range of rows.flatMap((row) => this.rows[row].waiting)) {
      const last = ranges.at(-1)
      if (last?.states === range.states && last.start + last.count === range.start) {
        ranges.splice(-1, 1, { ...last, count: last.count + range.count })
      } else {
        ranges.push(range)
      }
    }
    return ranges.map(({ states, ...range }) => ({ states: states.value, ...range }))
  }

  /**
   * What rows that have computed the same number of positions keep of them; undefined before the first one. Call it inside
   * a tidy; it may return what stays this object's.
   */
  past(rows: readonly number[]): KeptStates | undefined {
    const { length } = this.rows[rows[0]]
    if (length === 0) return undefined
    const runs: { readonly block: Block; readonly start: number; count: number }[] = []
    for (const row of rows) {
      const { block, index } = this.rows[row]
      const last = runs.at(-1)
      if (last && last.block === block && last.start + last.count === index) last.count++
      else runs.push({ block: block!, start: index, count: 1 })
    }
    return runs[0].block.value.map((_, i) =>
      join(
        runs.map(({ block, start, count }) => {
          const taken = takeFirst(block.value[i], start, count)
          return taken.shape[2] === length ? taken : tf.slice(taken, [0, 0, 0, 0], [-1, -1, length, -1])
        }),
      ),
    )
  }

  /**
   * Everything of some rows, all alike, that waited has been computed: `present` is of old and new positions, and the
   * cache's from here on.
   */
  advance(rows: readonly number[], present: KeptStates): void {
    const block: Block = new Shared([...present])
    for (const [index, row] of rows.entries()) {
      const length = this.length(row) + this.numWaiting(row)
      this.replace(row, { length, block: block.hold(), index, waiting: [] })
    }
  }

  /** Forgets all positions of a row from `length` on, computed or waiting. */
  truncate(row: number, length: number): void {
    const cached = this.rows[row]
    const numComputed = Math.min(cached.length, length)
    let room = length - numComputed
    const waiting = cached.waiting.flatMap((range) => {
      const count = Math.min(range.count, room)
      room -= count
      return count === 0 ? [] : [{ ...range, count }]
    })
    const kept = numComputed === 0 ? EMPTY : { ...cached, length: numComputed }
    this.replace(row, hold({ ...kept, waiting }))
  }

  /** Row `rows[i]` goes on from what row `from[i]` holds now. */
  reorder(rows: readonly number[], from: readonly number[]): void {
    // All are held before any lets go, so that rows may change places.
    const after = from.map((row) => hold(this.rows[row]))
    for (const [i, row] of rows.entries()) this.replace(row, after[i])
  }

  /**
   * Frees what blocks hold for rows that have left them, where that is more than half of a block: those that are still
   * there get a block of their own.
   */
  compact(): void {
    const rowsOf = new Map<Block, number[]>()
    for (const [row, { block }] of this.rows.entries()) {
      if (block) rowsOf.set(block, [...(rowsOf.get(block) ?? []), row])
    }
    for (const [block, rows] of rowsOf) {
      if (rows.length * 2 > block.value[0].shape[0]) continue
      // Rows that were truncated apart from each other are not alike any more.
      for (const row of rows) {
        const { index } = this.rows[row]
        const own = tf.tidy(() => block.value.map((part) => takeFirst(part, index, 1)))
        this.replace(row, hold({ ...this.rows[row], block: new Shared(own), index: 0 }))
      }
    }
  }

  dispose(): void {
    for (const row of this.rows.keys()) this.replace(row, EMPTY)
  }

  /** @param cached held already */
  private replace(row: number, cached: CachedRow): void {
    const { block, waiting } = this.rows[row]
    this.rows[row] = cached
    block?.release()
    for (const { states } of waiting) states.release()
  }
}

function hold(cached: CachedRow): CachedRow {
  cached.block?.hold()
  for (const { states } of cached.waiting) states.hold()
  return cached
}

/** Tensors one after the other along the first axis; a lone one as it is. */
function join<T extends tf.Tensor>(parts: readonly T[]): T {
  return parts.length === 1 ? parts[0] : tf.concat([...parts], 0)
}
