// What a benchmark ran on, as far as it matters to the figures: no names and no paths.
import { cpus, loadavg, totalmem } from 'node:os'

/** The machine and the program that runs on it. */
export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly memoryGigabytes: number
  readonly node: string
  /** Programs that computed or waited to, by average over the last five minutes; 0 where the system does not say. */
  readonly load: number
}

/** The machine that this runs on. */
export function thisMachine(): Machine {
  const all = cpus()
  return {
    processor: all[0]?.model.trim() ?? 'unknown processor',
    cores: all.length,
    memoryGigabytes: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    load: loadavg()[1],
  }
}

/** `AMD EPYC, 2 cores, 16 GB, Node 22.1.0, load 1.2`. */
export function describeMachine({ processor, cores, memoryGigabytes, node, load }: Machine): string {
  return `${processor}, ${cores} cores, ${memoryGigabytes} GB, Node ${node}, load ${load.toFixed(1)}`
}
