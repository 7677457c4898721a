// What is measured together: engines from the options that name them, what cannot be had and why, and which of them are in
// memory at the same time.
import { ENGINE_DTYPES, type EngineDtype, type PolicyName } from '../../src/config/index.js'
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

/** Precisions in which each target computes. */
const DTYPES: Readonly<Record<EngineTarget, readonly EngineDtype[]>> = {
  'tfjs:wasm': ['float32', 'int8'],
  'tfjs:node': ['float32'],
  onnx: ENGINE_DTYPES,
}

/** All combinations that can be had in one process. */
export function planEngines(options: {
  readonly engines: readonly EngineTarget[]
  readonly dtypes: readonly EngineDtype[]
  readonly threads: readonly number[]
}): EnginePlan {
  const { dtypes, threads } = options
  const engines: EngineSpec[] = []
  const leftOut: string[] = []
  for (const target of options.engines) {
    const own = dtypes.filter((dtype) => DTYPES[target].includes(dtype))
    if (own.length === 0) {
      leftOut.push(`${target}: computes in ${DTYPES[target].join(' and ')} only`)
      continue
    }
    const [first, ...others] = threads
    const counts = target === 'onnx' ? threads : [first]
    engines.push(...own.flatMap((dtype) => counts.map((count) => ({ target, dtype, threads: count }))))
    for (const count of target === 'onnx' ? [] : others) {
      leftOut.push(`${target} with threads ${count}: a process has one number of them, here ${first}`)
    }
  }
  return { engines, leftOut }
}

/** What `openEngine` is to be asked for. */
export function engineOptions({ target, dtype, threads }: EngineSpec): EngineOptions {
  if (target === 'onnx') return { engine: 'onnx', dtype, threads }
  return { engine: 'tfjs', backend: target === 'tfjs:wasm' ? 'wasm' : 'node', dtype, threads }
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
    const isOtherTfjs =
      engine.target !== 'onnx' && last?.some(({ target }) => target !== 'onnx' && target !== engine.target)
    if (last && last.length < most && !isOtherTfjs) last.push(engine)
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
