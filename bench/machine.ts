// What a benchmark ran on, as far as it matters to the figures: no names and no paths.
import { cpus, totalmem } from 'node:os'

/** The machine and the program that runs on it. */
export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGigabytes: number
  readonly node: string
}

/** The machine that this runs on. */
export function thisMachine(): Machine {
  const all = cpus()
  return {
    processor: all[0]?.model.trim() ?? 'unknown processor',
    cores: all.length,
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
  }
}

/** `AMD EPYC, 2 cores, 16 GB, Node 22.1.0`. */
export function describeMachine({ processor, cores, memoryGigabytes, node }: Machine): string {
  return `${processor}, ${cores} cores, ${memoryGigabytes} GB, Node ${node}`
}
