// Times cells (an engine and a way to decode) in rounds: in each, every cell decodes the same sources once, in an order that
// rotates, so that what slows the machine for a while slows all of them and their ratios stay.
import { decode, type DecoderEngine, type Policy, type RowResult } from '../../src/decoding/index.js'
import { decodeByProfit, type ProfitRule } from '../../src/evaluation/index.js'
import type { CellSpec } from './plan.js'

/** What a cell decodes in a round. */
export interface Workload {
  readonly sources: readonly ArrayLike<number>[]
  readonly maxNewTokens: number
  /** The engine of the round: the cell's own or one that replays exits over it. */
  readonly engine: DecoderEngine
  readonly policy: Policy
  /** Decides whether the policy or full decoding is used. Neutral: undefined, the policy always. */
  readonly profit?: ProfitRule
}

/** An engine and one way to decode with it. */
export interface GridCell {
  readonly spec: CellSpec
  /** What it decodes in a round, from 0; warm-up rounds are below 0. */
  readonly workload: (round: number) => Workload
}

/** One batch as it was decoded and timed; times in ms. */
export interface TimedBatch {
  readonly results: readonly RowResult[]
  readonly encoderMs: number
  /** From the encoder's end to the first token of any row. */
  readonly firstTokenMs: number
  /** Everything after the encoder. */
  readonly decodingMs: number
  /** Processor time of the process while decoding, on all its threads. */
  readonly cpuMs: number
}

export interface GridOptions {
  readonly rounds: number
  /** Rounds before the clock counts. */
  readonly warmUp: number
  readonly onRound?: (numDone: number) => void
  readonly signal?: AbortSignal
}

/** Batches of each cell, a round each. Throws what decoding throws; rejects with `signal.reason` when aborted. */
export async function measureGrid(cells: readonly GridCell[], options: GridOptions): Promise<TimedBatch[][]> {
  const { rounds, warmUp, onRound, signal } = options
  const batches = cells.map(() => [] as TimedBatch[])
  for (let round = -warmUp; round < rounds; round++) {
    for (let turn = 0; turn < cells.length; turn++) {
      const index = (round + warmUp + turn) % cells.length
      const batch = await timeBatch(cells[index].workload(round), signal)
      if (round >= 0) batches[index].push(batch)
    }
    onRound?.(round + warmUp + 1)
  }
  return batches
}

async function timeBatch(
  { engine, sources, policy, maxNewTokens, profit }: Workload,
  signal: AbortSignal | undefined,
): Promise<TimedBatch> {
  const results: RowResult[] = []
  const start = performance.now()
  let encodedAt = start
  let firstAt: number | undefined
  let cpu = process.cpuUsage()
  const options = { policy, maxNewTokens, signal }
  const events = profit
    ? decodeByProfit(engine, sources, { ...options, profit })
    : decode(engine, sources, options)
  for await (const event of events) {
    if (event.type === 'token') firstAt ??= performance.now()
    else if (event.type === 'end') results[event.row] = event.result
    else if (event.type === 'encoded') {
      encodedAt = performance.now()
      cpu = process.cpuUsage()
    }
  }
  const end = performance.now()
  const { user, system } = process.cpuUsage(cpu)
  return {
    results,
    encoderMs: encodedAt - start,
    firstTokenMs: firstAt! - encodedAt,
    decodingMs: end - encodedAt,
    cpuMs: (user + system) / 1000,
  }
}
