// Memory of one's own beside tfjs's tensors, for what is needed again and again.
import type { Kernels } from './kernels.js'

/** Grows as more is asked for. Owns it. */
export class Room {
  private at = 0
  private size = 0

  constructor(private readonly kernels: Kernels) {}

  /**
   * So many bytes, of zeros at first; what was there before is gone where it grows. It doubles then, for what is asked for
   * grows by a position at a time.
   */
  reserve(numBytes: number): number {
    if (this.size < numBytes) {
      const size = Math.max(numBytes, 2 * this.size)
      this.dispose()
      this.at = this.kernels.allocate(size)
      this.size = size
    }
    return this.at
  }

  /** Idempotent; it may be used again. */
  dispose(): void {
    this.kernels.free(this.at)
    this.at = this.size = 0
  }
}
