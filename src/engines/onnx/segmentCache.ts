// What all rows of a session keep of one segment: keys and values of the positions they have computed, in memory that the
// graph writes into, and the states that wait for it.
import { cachedHeadWidth } from '../../onnx/index.js'
import type { ModelGraphs } from './graphs.js'
import type { RuntimeTensor, RuntimeTensors } from './runtime.js'

/** Positions that a new cache has room for. */
const FIRST_CAPACITY = 64

/** Rows beside each other. */
export interface RowRange {
  readonly start: number
  readonly count: number
}

/**
 * Caches of some rows by the names that a graph has for them. Past and present of a layer are the same memory; present is
 * null where the runtime makes it, for {@link SegmentCache.store} to copy.
 */
export interface CacheTensors {
  readonly past: RuntimeTensors
  readonly present: Readonly<Record<string, RuntimeTensor | null>>
}

/** See above. Its memory is the host's. */
export class SegmentCache {
  /** Positions computed, by row. */
  readonly lengths: number[]
  /** States [n, D] of the positions after those computed, by row, in pieces. */
  private readonly waiting: Float32Array[][]
  private capacity = 0
  /** By layer, keys then values: [rows, H, capacity, K]. */
  private buffers: Float32Array[] = []
  private readonly tensors = new Map<string, CacheTensors>()

  /** @param layers of the segment, counted from 0 */
  constructor(
    private readonly graphs: ModelGraphs,
    readonly layers: readonly number[],
    private readonly numRows: number,
  ) {
    this.lengths = Array.from({ length: numRows }, () => 0)
    this.waiting = Array.from({ length: numRows }, () => [])
  }

  numWaiting(row: number): number {
    const { dModel } = this.graphs.config
    return this.waiting[row].reduce((sum, states) => sum + states.length / dModel, 0)
  }

  /** Adds states [n, D] of the next positions of a row; not copied. */
  add(row: number, states: Float32Array): void {
    this.waiting[row].push(states)
  }

  /** The states [P, D] of all positions of a row that wait. */
  input(row: number): Float32Array {
    const pieces = this.waiting[row]
    if (pieces.length === 1) return pieces[0]
    const joined = new Float32Array(pieces.reduce((sum, { length }) => sum + length, 0))
    let to = 0
    for (const piece of pieces) {
      joined.set(piece, to)
      to += piece.length
    }
    return joined
  }

  /** Everything of a row that waited has been computed. */
  advance(row: number): void {
    this.lengths[row] += this.numWaiting(row)
    this.waiting[row] = []
  }

  /** The caches of some rows as a graph reads and writes them, with room for `length` positions of each. */
  tensorsOf({ start, count }: RowRange, length: number): CacheTensors {
    if (length > this.capacity) this.grow(length)
    const key = `${start} ${count}`
    const known = this.tensors.get(key)
    if (known) return known
    const { numHeads } = this.graphs.config
    const past: Record<string, RuntimeTensor> = {}
    const present: Record<string, RuntimeTensor | null> = {}
    for (const [i, layer] of this.layers.entries()) {
      for (const [j, part] of ['key', 'value'].entries()) {
        const all = this.buffers[2 * i + j]
        const rows = all.subarray(start * this.rowSize, (start + count) * this.rowSize)
        const tensor = this.graphs.tensor(rows, [count, numHeads, this.capacity, this.headWidth])
        past[`past_${part}.${layer}`] = tensor
        present[`present_${part}.${layer}`] = this.graphs.writesInPlace ? tensor : null
      }
    }
    const made = { past, present }
    this.tensors.set(key, made)
    return made
  }

  /** Takes what a graph made of the caches of some rows. */
  store({ start }: RowRange, outputs: RuntimeTensors): void {
    for (const [i, layer] of this.layers.entries()) {
      for (const [j, part] of ['key', 'value'].entries()) {
        const made = outputs[`present_${part}.${layer}`].data as Float32Array
        this.buffers[2 * i + j].set(made, start * this.rowSize)
      }
    }
  }

  /** Forgets all positions of a row from `length` on, computed or waiting. */
  truncate(row: number, length: number): void {
    this.lengths[row] = Math.min(this.lengths[row], length)
    const { dModel } = this.graphs.config
    let room = (length - this.lengths[row]) * dModel
    this.waiting[row] = this.waiting[row].flatMap((states) => {
      const kept = states.subarray(0, room)
      room -= kept.length
      return kept.length === 0 ? [] : [kept]
    })
  }

  /** Row `rows[i]` goes on from what row `from[i]` holds now. */
  reorder(rows: readonly number[], from: readonly number[]): void {
    const moves = rows.map((row, i) => ({ row, from: from[i] })).filter(({ row, from }) => row !== from)
    const states = moves.map(({ from }) => ({ length: this.lengths[from], waiting: [...this.waiting[from]] }))
    for (const buffer of this.buffers) {
      // All are read before any is written, so that rows may change places.
      const copies = moves.map(({ from }) => this.readRow(buffer, from))
      for (const [i, { row }] of moves.entries()) this.writeRow(buffer, row, copies[i])
    }
    for (const [i, { row }] of moves.entries()) {
      this.lengths[row] = states[i].length
      this.waiting[row] = states[i].waiting
    }
  }

  private get headWidth(): number {
    return cachedHeadWidth(this.graphs.config)
  }

  private get rowSize(): number {
    return this.graphs.config.numHeads * this.capacity * this.headWidth
  }

  /** What a row has computed, [H, length, K]. */
  private readRow(buffer: Float32Array, row: number): Float32Array {
    const { numHeads } = this.graphs.config
    const size = this.lengths[row] * this.headWidth
    const copy = new Float32Array(numHeads * size)
    for (let head = 0; head < numHeads; head++) {
      const start = row * this.rowSize + head * this.capacity * this.headWidth
      copy.set(buffer.subarray(start, start + size), head * size)
    }
    return copy
  }

  private writeRow(buffer: Float32Array, row: number, copy: Float32Array): void {
    const { numHeads } = this.graphs.config
    const size = copy.length / numHeads
    for (let head = 0; head < numHeads; head++) {
      const start = row * this.rowSize + head * this.capacity * this.headWidth
      buffer.set(copy.subarray(head * size, (head + 1) * size), start)
    }
  }

  private grow(length: number): void {
    const rows = this.lengths.keys()
    const copies = [...rows].map((row) => this.buffers.map((buffer) => this.readRow(buffer, row)))
    this.capacity = Math.max(this.capacity, FIRST_CAPACITY)
    while (this.capacity < length) this.capacity *= 2
    this.buffers = Array.from(
      { length: 2 * this.layers.length },
      () => new Float32Array(this.numRows * this.rowSize),
    )
    for (const [row, parts] of copies.entries()) {
      for (const [i, copy] of parts.entries()) this.writeRow(this.buffers[i], row, copy)
    }
    this.tensors.clear()
  }
}
