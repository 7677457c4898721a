// What several rows hold together, each a part of its own: so what was computed in one pass need not be taken apart.
import * as tf from '@tensorflow/tfjs'

/** Frees its tensors when the last holder lets go, or, where they are borrowed, leaves them alone. */
export class Shared<T extends tf.TensorContainer> {
  private numHolders = 0

  /** @param value its tensors are this object's from here on, unless it is borrowed */
  constructor(
    readonly value: T,
    private readonly isBorrowed = false,
  ) {}

  get isHeld(): boolean {
    return this.numHolders > 0
  }

  hold(): this {
    this.numHolders++
    return this
  }

  release(): void {
    this.numHolders--
    if (!this.isHeld && !this.isBorrowed) tf.dispose(this.value)
  }
}
