// What several rows hold together, each a part of its own: so what was computed in one pass need not be taken apart.
import * as tf from '@tensorflow/tfjs'

/** Frees its tensors when the last holder lets go. */
export class Shared<T extends tf.TensorContainer> {
  private numHolders = 0

  /** @param value its tensors are this object's from here on */
  constructor(readonly value: T) {}

  get isHeld(): boolean {
    return this.numHolders > 0
  }

  hold(): this {
    this.numHolders++
    return this
  }

  release(): void {
    this.numHolders--
    if (!this.isHeld) tf.dispose(this.value)
  }
}
