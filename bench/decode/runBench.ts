// The whole measurement of some models: engines opened group by group, warmed up, measured in rounds, freed.
import { freemem } from 'node:os'
import { chooseBackend } from '../../src/engines/tfjs/index.node.js'
import { loadOnnxRuntime } from '../../src/engines/onnx/index.node.js'
import type { Exit } from '../../src/decoding/index.js'
import { free, full, lossless, staticExit, type Policy } from '../../src/decoding/index.js'
import type { ProfitRule } from '../../src/evaluation/index.js'
import { openProfitRule } from '../../src/pipeline/index.node.js'
import { Random } from '../../src/random.js'
import { peakMemoryBytes } from '../../scripts/parity/peakMemory.js'
import { startPeak } from '../startPeak.js'
import type { BenchModel, OpenedModel } from './benchModel.js'
import { cellResult, type CellResult } from './cellResult.js'
import { drawnTrace, recordedTrace, type ExitTrace } from './exitTrace.js'
import { measureGrid, type GridCell } from './measureGrid.js'
import { groupEngines, type CellSpec, type EngineSpec } from './plan.js'
import { withExits, withoutEnd } from './replay.js'
import { weightBytes } from './shapes.js'

/** What is measured, and how. */
export interface BenchOptions {
  readonly engines: readonly EngineSpec[]
  readonly cells: readonly CellSpec[]
  /** Tokens of a sequence; with a trace that of its rows, with a trained model's own exits at most so many. */
  readonly tokens: number
  readonly rounds: number
  readonly warmUp: number
  readonly seed: number
  /** Of replayed exits, see {@link drawnTrace}. */
  readonly agreement: number
  /** Whether the profit rule may decode cells with early exits as full. */
  readonly usesProfit: boolean
  /** Recorded exits, a row a source; of cells that replay a trace. */
  readonly trace?: readonly (readonly Exit[])[]
  /** GB/s with so many threads. */
  readonly bandwidthOf: (threads: number) => number
  readonly onProgress?: (what: string, numDone: number, total: number) => void
  readonly signal?: AbortSignal
}

/**
 * Fails before anything is measured where an engine cannot be had: throws what choosing a tfjs backend and loading ONNX
 * Runtime throws.
 */
export async function checkEngines(engines: readonly EngineSpec[]): Promise<void> {
  for (const { target, threads } of engines) {
    if (target === 'onnx') await loadOnnxRuntime()
    else if (target === 'tfjs:node') await chooseBackend({ backend: 'node', threads })
  }
}

/** Measures a model with all engines. Throws what opening engines and decoding throws. */
export async function benchModel(model: BenchModel, options: BenchOptions): Promise<CellResult[]> {
  const groups = groupEngines(options.engines, {
    weightBytes: weightBytes(model.config),
    // The other half is for what else the machine does.
    budgetBytes: freemem() / 2,
  })
  const rows: CellResult[] = []
  for (const group of groups) rows.push(...(await benchGroup(model, group, options)))
  // In the order in which engines were asked for, whatever alternated with what.
  return rows
}

interface OpenedEngineCells extends OpenedModel {
  readonly spec: EngineSpec
  readonly cells: readonly GridCell[]
  readonly peakMegabytes: number
}

async function benchGroup(
  model: BenchModel,
  group: readonly EngineSpec[],
  options: BenchOptions,
): Promise<CellResult[]> {
  const { rounds, warmUp, signal, onProgress, bandwidthOf } = options
  const opened: OpenedEngineCells[] = []
  const what = `${model.name} on ${group.map(({ target, dtype }) => `${target} ${dtype}`).join(', ')}`
  try {
    for (const spec of group) {
      const before = startPeak()
      const engine = await model.open(spec)
      const cells: GridCell[] = []
      for (const cell of options.cells) {
        const profit = options.usesProfit ? await profitRule(model, engine, cell) : undefined
        cells.push(gridCell(model, { ...engine, profit }, cell, options))
      }
      opened.push({ ...engine, spec, cells, peakMegabytes: 0 })
      await measureGrid(cells, { rounds: 0, warmUp, signal })
      const peakMegabytes = (peakMemoryBytes() - before) / 2 ** 20
      opened[opened.length - 1] = { ...opened[opened.length - 1], peakMegabytes }
    }
    const all = opened.flatMap(({ cells }) => cells)
    const batches = await measureGrid(all, {
      rounds,
      warmUp: 0,
      onRound: (numDone) => onProgress?.(what, numDone, rounds),
      signal,
    })
    return opened.flatMap(({ spec, cells, peakMegabytes }, number) => {
      const own = batches.slice(number * cells.length, (number + 1) * cells.length)
      return cells.map(({ spec: cell }, i) => {
        const baseline = cells.findIndex(
          ({ spec: { policy, batchSize } }) => policy === 'full' && batchSize === cell.batchSize,
        )
        const { target: engine, dtype, threads } = spec
        const { config } = model
        const sourceLength = meanSourceLength(model, rounds * cell.batchSize)
        return cellResult({
          spec: cell,
          batches: own[i],
          full: own[baseline],
          of: { model: model.name, engine, dtype, threads, peakMegabytes },
          setting: {
            config,
            dtype,
            scales: engine === 'onnx' ? 'blocks' : 'columns',
            sourceLength,
            gigabytesPerSecond: bandwidthOf(threads),
          },
          agreement: typeof cell.exits === 'number' ? options.agreement : 1,
        })
      })
    })
  } finally {
    for (const { engine } of opened) engine.dispose()
  }
}

/** What a cell decodes, round by round: the same sources and the same draws for all cells of a batch size. */
function gridCell(
  model: BenchModel,
  { engine, createPolicy, profit }: OpenedModel & { readonly profit: ProfitRule | undefined },
  spec: CellSpec,
  { tokens, seed, agreement, trace }: BenchOptions,
): GridCell {
  const { exits, batchSize } = spec
  const isReplay = typeof exits === 'number' || exits === 'trace'
  const endless = !model.isTrained || isReplay || trace !== undefined ? withoutEnd(engine) : engine
  const numbers = (round: number) => Array.from({ length: batchSize }, (_, row) => round * batchSize + row)
  const recordedFor = (number: number) => trace![((number % trace!.length) + trace!.length) % trace!.length]
  const traceOf = (number: number): ExitTrace =>
    exits === 'trace'
      ? recordedTrace(recordedFor(number))
      : drawnTrace(new Random(seed).fork(number), { exitShare: exits as number, agreement })
  return {
    spec,
    workload: (round) => ({
      sources: numbers(round).map((number) => model.source(number)),
      maxNewTokens: trace ? Math.max(...numbers(round).map((number) => recordedFor(number).length)) : tokens,
      engine: isReplay ? withExits(endless, numbers(round).map(traceOf)) : endless,
      policy: isReplay || spec.exits === null ? replayedPolicy(spec) : createPolicy(spec.policy),
      profit,
    }),
  }
}

/** A cell's own rule, which learns from its sequences alone; undefined where there is nothing to decide. */
async function profitRule(
  { config }: BenchModel,
  { engine, createPolicy }: OpenedModel,
  { policy, exits, batchSize }: CellSpec,
): Promise<ProfitRule | undefined> {
  if (exits === null) return undefined
  return openProfitRule({
    checkpoint: { engine, config },
    policy: createPolicy(policy),
    confidence: 'top2-gap',
    batchSize,
  })
}

/** Any threshold from 0 to below 1 tells replayed exits apart. */
function replayedPolicy({ policy }: CellSpec): Policy {
  switch (policy) {
    case 'full':
      return full()
    case 'static':
      return staticExit()
    case 'free':
      return free(0.5)
    case 'lossless':
      return lossless(0.5)
  }
}

function meanSourceLength(model: BenchModel, count: number): number {
  let sum = 0
  for (let number = 0; number < count; number++) sum += model.source(number).length
  return sum / count
}
