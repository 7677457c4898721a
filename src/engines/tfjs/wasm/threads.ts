// Threads that help with products and attention, in memory that they share with tfjs's wasm backend.
import { decodeModules, instantiate, type ModuleBytes } from './instantiate.js'
import { OPERATIONS, PACKED, QUANTISED, THREADS } from './modules.js'
import { FLOAT, type Rows } from './rows.js'

/** What another thread is to do until it is ended. All of it can be sent to a worker. */
export interface ThreadTask {
  readonly memory: WebAssembly.Memory
  /** To be instantiated as `instantiate` does; then `serve(job, patience)` is to be called, which does not return. */
  readonly modules: ModuleBytes
  /** Byte offset in the memory. */
  readonly job: number
  /** How often a thread looks for work before it sleeps. */
  readonly patience: number
}

/** Threads that may help: how many work on a product, the caller's included, and what starts another one. */
export interface Helpers {
  readonly numThreads: number
  /** The thread is to keep no process alive. */
  start(task: ThreadTask): void
}

/** Kinds of work that threads share, by the kernel and its number: see scripts/wasm/kernels.ts. */
export const KINDS = { multiplyPacked: 0, multiplyQuantised: 1, attend: 2 } as const
export type SharedKind = keyof typeof KINDS

/** Rows with a matrix, or over an attention's memory, which falls into blocks, or heads. */
export interface SharedWork {
  readonly x: Rows
  /** Byte offset of the matrix, or of what is told of the memory. */
  readonly right: number
  readonly out: Rows
  readonly rows: number
  readonly depth: number
  readonly numBlocks: number
  /** Of the matrix, or the keys for all positions. */
  readonly numBytes: number
}

export type Operands = readonly [
  x: number,
  xStride: number,
  right: number,
  out: number,
  outStride: number,
  rows: number,
  depth: number,
]

/** Operands as kernels take them. */
export function operandsOf({ x, right, out, rows, depth }: SharedWork): Operands {
  return [x.at, FLOAT * x.stride, right, out.at, FLOAT * out.stride, rows, depth]
}

/** Bytes of a job, all of them zero before the first one. */
export const JOB_BYTES = 64
/** Smaller work is done before another thread has looked. */
const LEAST_BYTES = 1 << 17
/** About as long as what a step does between two products and two tokens; a core that waits longer is better given back. */
const PATIENCE = 60_000

/** One job at a time, which a thread tells and others help with. Threads start at the first one. */
export class SharedJobs {
  private numStarted = 1
  private readonly modules: ModuleBytes
  private readonly runShared: (job: number, ...operands: number[]) => void

  /** @param job byte offset of JOB_BYTES in the memory, which nobody else uses */
  constructor(
    private readonly memory: WebAssembly.Memory,
    private readonly job: number,
  ) {
    const texts = { packed: PACKED, quantised: QUANTISED, operations: OPERATIONS, threads: THREADS }
    this.modules = decodeModules(texts, memory)
    this.runShared = instantiate(this.modules, memory).runShared as typeof this.runShared
  }

  /** Whether it is worth while. */
  static suits({ numBlocks, numBytes }: SharedWork): boolean {
    return numBlocks > 1 && numBytes >= LEAST_BYTES
  }

  run(kind: SharedKind, work: SharedWork, helpers: Helpers): void {
    const { memory, modules, job } = this
    for (; this.numStarted < helpers.numThreads; this.numStarted++) {
      helpers.start({ memory, modules, job, patience: PATIENCE })
    }
    const { numBlocks } = work
    const share = Math.ceil(numBlocks / helpers.numThreads)
    this.runShared(job, KINDS[kind], ...operandsOf(work), numBlocks, share)
  }
}
