// What a process uses, as Linux counts it: processor time, and memory in place.
import { readFileSync } from 'node:fs'

/** Of a running process. */
export interface ProcessUse {
  /** Of all its threads, since it began; steps of 10 ms. */
  readonly cpuMs: number
  readonly residentBytes: number
}

/** The kernel's unit of processor time, as it shows it to programs on every architecture. */
const TICK_MS = 10

/** Undefined where there is no such process, or no /proc. */
export function processUse(pid: number): ProcessUse | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field, the program's name, may hold spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
    return {
      cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
      residentBytes: Number(kilobytes) * 1024,
    }
  } catch {
    return undefined
  }
}
