// The peak memory of this process. Linux hands the parent's peak down in getrusage (a process begins as its copy), so the
// kernel's own count of this program is read where there is one.
import { readFileSync } from 'node:fs'

/** Peak resident bytes so far. */
export function peakMemoryBytes(): number {
  try {
    const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))!
    return Number(kilobytes) * 1024
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}
