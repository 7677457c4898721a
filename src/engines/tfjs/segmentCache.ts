// What one row keeps of one segment: keys and values of the positions it has computed, and the states that wait for it.
import * as tf from '@tensorflow/tfjs'
import type { KeyValue } from '../../model/index.js'

/** Owns all its tensors. */
export class SegmentCache {
  /** Positions computed. */
  length = 0
  /** By layer of the segment, over all `length` positions; empty before the first. */
  private keyValues: readonly KeyValue[] = []
  /** States [n, D] of the positions after those computed, in order. */
  private waiting: tf.Tensor2D[] = []

  get numWaiting(): number {
    return this.waiting.reduce((sum, states) => sum + states.shape[0], 0)
  }

  /** Keys and values of a layer of this segment, counted from 0; undefined before the first position. */
  past(layer: number): KeyValue | undefined {
    return this.keyValues[layer]
  }

  /** Adds states [n, D] of the next positions. The cache owns them from here on. */
  add(states: tf.Tensor2D): void {
    this.waiting.push(states)
  }

  /** The states [P, D] of all positions that wait; call it inside a tidy. */
  input(): tf.Tensor2D {
    return this.waiting.length === 1 ? this.waiting[0] : tf.concat(this.waiting, 0)
  }

  /** Everything that waited has been computed: `present` holds keys and values, by layer, of old and new positions. */
  advance(present: readonly KeyValue[]): void {
    this.length += this.numWaiting
    tf.dispose(this.waiting)
    this.waiting = []
    this.replace(present)
  }

  /** The same positions once more; values are shared until either changes. The caller disposes it. */
  copy(): SegmentCache {
    // States that wait may be many (static never runs them): joined, they cost one operation a copy.
    if (this.waiting.length > 1) {
      const joined = tf.concat(this.waiting, 0)
      tf.dispose(this.waiting)
      this.waiting = [joined]
    }
    const copy = new SegmentCache()
    copy.length = this.length
    copy.keyValues = this.keyValues.map(({ key, value }) => ({ key: tf.clone(key), value: tf.clone(value) }))
    copy.waiting = this.waiting.map((states) => tf.clone(states))
    return copy
  }

  /** Forgets all positions from `length` on, computed or waiting. */
  truncate(length: number): void {
    if (length < this.length) {
      this.length = length
      this.replace(
        length === 0
          ? []
          : this.keyValues.map(({ key, value }) => ({
              key: tf.slice(key, [0, 0, 0, 0], [-1, -1, -1, length]),
              value: tf.slice(value, [0, 0, 0, 0], [-1, -1, length, -1]),
            })),
      )
    }
    let room = length - this.length
    this.waiting = this.waiting.flatMap((states) => {
      const numKept = Math.min(states.shape[0], room)
      room -= numKept
      if (numKept === states.shape[0]) return [states]
      const kept = numKept === 0 ? [] : [tf.slice(states, [0, 0], [numKept, -1])]
      states.dispose()
      return kept
    })
  }

  dispose(): void {
    this.replace([])
    tf.dispose(this.waiting)
    this.waiting = []
  }

  private replace(keyValues: readonly KeyValue[]): void {
    for (const { key, value } of this.keyValues) tf.dispose([key, value])
    this.keyValues = keyValues
  }
}
