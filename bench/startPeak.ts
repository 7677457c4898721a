// The beginning of a measurement of memory: from here on the kernel's peak of this process is that of what follows.
import { writeFileSync } from 'node:fs'

/**
 * Gives back what is not used any more, where the process may ask for it (`--expose-gc`), sets the peak back, where the
 * kernel lets a process do so (Linux), and returns the resident bytes at this moment.
 */
export function startPeak(): number {
  globalThis.gc?.()
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // Elsewhere the peak is that since the process began: no less than the one that is asked for.
  }
  return process.memoryUsage.rss()
}
