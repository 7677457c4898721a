// What is measured together: engines from the options that name them, what cannot be had and why, and which of them are in
// memory at the same time.
import type { EngineDtype, PolicyName } from '../../src/config/index.js'
import type { EngineOptions } from '../../src/pipeline/index.node.js'

/** Engines with what they compute on, as `--engines` takes them. */
export const ENGINE_TARGETS = ['tfjs:wasm', 'tfjs:node', 'onnx'] as const

export type EngineTarget = (typeof ENGINE_TARGETS)[number]

/** One engine to open. */
export interface EngineSpec {
  readonly target: EngineTarget
  readonly dtype: EngineDtype
  readonly threads: number
}

/** Engines to open, and in words what was left out. */
export interface EnginePlan {
  readonly engines: readonly EngineSpec[]
  readonly leftOut: readonly string[]
}

/** All combinations that can be had in one process. tfjs computes in float32. */
export function planEngines(options: {
  readonly engines: readonly EngineTarget[]
  readonly dtypes: readonly EngineDtype[]
  readonly threads: readonly number[]
}): EnginePlan {
  const { dtypes, threads } = options
  const engines: EngineSpec[] = []
  const leftOut: string[] = []
  for (const target of options.engines) {
    if (target === 'onnx') {
      engines.push(...dtypes.flatMap((dtype) => threads.map((count) => ({ target, dtype, threads: count }))))
      continue
    }
    if (!dtypes.includes('float32')) {
      leftOut.push(`${target}: computes in float32 only`)
      continue
    }
    const [first, ...others] = threads
    engines.push({ target, dtype: 'float32', threads: first })
    for (const count of others) {
      leftOut.push(`${target} with threads ${count}: a process has one number of them, here ${first}`)
    }
  }
  return { engines, leftOut }
}

/** What `openEngine` is to be asked for. */
export function engineOptions({ target, dtype, threads }: EngineSpec): EngineOptions {
  if (target === 'onnx') return { engine: 'onnx', dtype, threads }
  return { engine: 'tfjs', backend: target === 'tfjs:wasm' ? 'wasm' : 'node', threads }
}

/** Copies of float32 weights that an engine comes to while it is made: graphs are built in memory before they are loaded. */
const COPIES = 2.5

/**
 * Cuts engines into groups that are in memory, and alternate, at the same time: at most `budgetBytes` of weights with
 * what making them takes, and one backend of tfjs, which has one current backend. An engine too large for the budget is
 * alone. Order is kept.
 */
export function groupEngines(
  engines: readonly EngineSpec[],
  { weightBytes, budgetBytes }: { readonly weightBytes: number; readonly budgetBytes: number },
): EngineSpec[][] {
  const most = Math.max(1, Math.floor(budgetBytes / (COPIES * weightBytes)))
  const groups: EngineSpec[][] = []
  for (const engine of engines) {
    const last = groups.at(-1)
    const isSecondTfjs = engine.target !== 'onnx' && last?.some(({ target }) => target !== 'onnx')
    if (last && last.length < most && !isSecondTfjs) last.push(engine)
    else groups.push([engine])
  }
  return groups
}

/** Policies that can be measured. */
export const BENCH_POLICIES = ['full', 'static', 'free', 'lossless'] as const satisfies readonly PolicyName[]

export type BenchPolicy = (typeof BENCH_POLICIES)[number]

/** One way to decode. */
export interface CellSpec {
  readonly policy: BenchPolicy
  /** Probability that a token leaves shallow; `trace`: as recorded; `model`: as the model's own exits say; null: no choice. */
  readonly exits: number | 'trace' | 'model' | null
  readonly batchSize: number
}

/** All cells; `full` of each batch size first, since the others are compared with it. */
export function planCells(options: {
  readonly policies: readonly BenchPolicy[]
  readonly exits: readonly (number | 'trace' | 'model')[]
  readonly batchSizes: readonly number[]
}): CellSpec[] {
  const { policies, exits, batchSizes } = options
  const others = [...new Set(policies)].filter((policy) => policy !== 'full')
  return batchSizes.flatMap((batchSize): CellSpec[] => [
    { policy: 'full', exits: null, batchSize },
    ...others.flatMap((policy): CellSpec[] =>
      policy === 'static'
        ? [{ policy, exits: null, batchSize }]
        : exits.map((from) => ({ policy, exits: from, batchSize })),
    ),
  ])
}
