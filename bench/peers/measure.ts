// The measurement: workers that all are loaded and wait, while one at a time computes, in rounds. A round gives every
// contestant a turn on the same sources; each round begins with another one, so that what drifts (heat, other programs)
// meets all alike. Numbers are only taken here; what they mean: summarise.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import { ShallowDeepError } from '../../src/errors.js'
import { processUse } from './processUse.js'
import type { DecodeReply, ExitPolicy, LoadReply } from './protocol.js'

/** What the measurement needs of a worker. */
export interface Decoder {
  readonly pid: number | undefined
  decode(request: {
    readonly sources: readonly (readonly number[])[]
    readonly maxNewTokens: number
    readonly policy?: ExitPolicy
  }): Promise<DecodeReply>
}

/** A worker, and the policy that it is to decode by. Several contestants may share a worker. */
export interface Contestant {
  /** The peer's name, with the policy where it has one. */
  readonly name: string
  readonly peer: string
  readonly worker: Decoder
  readonly loaded: Pick<LoadReply, 'threads' | 'versions'>
  readonly policy?: ExitPolicy
}

/** One batch that was decoded, twice: whole, and to its first tokens only. */
export interface Sample {
  /** Indices of its sources. */
  readonly sources: readonly number[]
  readonly tokens: readonly (readonly number[])[]
  /** From the ids to the last ids. */
  readonly ms: number
  /** To the first tokens only: the encoder and one step. */
  readonly firstMs: number
  /** Null where the peer does not tell. */
  readonly encoderMs: number | null
  /** Processor time of `ms`, all threads together; undefined where the system does not tell. */
  readonly cpuMs: number | undefined
}

/** A contestant's turn in a round. */
export interface Turn {
  readonly contestant: string
  readonly round: number
  readonly samples: readonly Sample[]
  /** What its process holds after it; undefined where the system does not tell. */
  readonly residentBytes: number | undefined
  /** Processor time that all workers which were to wait took, per time of the turn; undefined likewise. */
  readonly idleShare: number | undefined
}

/** What to decode. */
export interface Work {
  readonly sources: readonly (readonly number[])[]
  readonly maxNewTokens: number
  /** Whether an output of another length is a failure. */
  readonly isFixedLength: boolean
  readonly batchSize: number
  readonly rounds: number
  /** Batches in each turn; further rounds go on through the sources. */
  readonly batchesPerTurn: number
  /**
   * How long everything rests before a turn: threads of the worker before may wait busily for a while (OpenMP, thread
   * pools), and must not be in the way of the next one.
   */
  readonly restMs: number
}

/** What became of the contestants. */
export interface Measurement {
  readonly turns: readonly Turn[]
  /** Contestants that failed, and why; they have no turns. */
  readonly failures: ReadonlyMap<string, ShallowDeepError>
}

/**
 * Measures the contestants. One that fails is left out from then on, and its turns with it; the others go on. Throws
 * what is not a `ShallowDeepError`, and `signal.reason`.
 * @param onTurn told of each turn that is about to begin, warm-ups as round 0
 */
export async function measure(
  contestants: readonly Contestant[],
  work: Work,
  options: {
    readonly onTurn?: (contestant: string, round: number) => void
    readonly signal?: AbortSignal
  } = {},
): Promise<Measurement> {
  const failures = new Map<string, ShallowDeepError>()
  const turns: Turn[] = []
  for (let round = 0; round <= work.rounds; round++) {
    for (const contestant of rotate(contestants, round)) {
      if (failures.has(contestant.name)) continue
      options.signal?.throwIfAborted()
      options.onTurn?.(contestant.name, round)
      await sleep(work.restMs, undefined, { signal: options.signal }).catch(() =>
        options.signal!.throwIfAborted(),
      )
      try {
        const waiting = contestants.filter(({ worker }) => worker !== contestant.worker)
        const turn = await takeTurn(contestant, { work, round, waiting })
        // The first turn warms up.
        if (round > 0) turns.push(turn)
      } catch (error) {
        if (!(error instanceof ShallowDeepError)) throw error
        failures.set(contestant.name, error)
      }
    }
  }
  return { turns: turns.filter(({ contestant }) => !failures.has(contestant)), failures }
}

function rotate<T>(items: readonly T[], by: number): T[] {
  const start = items.length === 0 ? 0 : by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}

async function takeTurn(
  contestant: Contestant,
  {
    work,
    round,
    waiting,
  }: { readonly work: Work; readonly round: number; readonly waiting: readonly Contestant[] },
): Promise<Turn> {
  const { worker } = contestant
  const others = [...new Set(waiting.map((other) => other.worker.pid))]
  const [idleBefore, start] = [cpuMsOf(others), performance.now()]
  const samples: Sample[] = []
  for (const batch of batchesOf(work, round)) samples.push(await takeSample(contestant, work, batch))
  const [idleAfter, wallMs] = [cpuMsOf(others), performance.now() - start]
  return {
    contestant: contestant.name,
    round,
    samples,
    residentBytes: useOf(worker.pid)?.residentBytes,
    idleShare: others.length === 0 ? undefined : divide(difference(idleAfter, idleBefore), wallMs),
  }
}

/** The sources of a round's turn, in batches. All contestants get the same ones in the same round. */
function batchesOf({ sources, batchSize, batchesPerTurn }: Work, round: number): number[][] {
  const first = Math.max(0, round - 1) * batchesPerTurn * batchSize
  return Array.from({ length: batchesPerTurn }, (_, batch) =>
    Array.from({ length: batchSize }, (_, row) => (first + batch * batchSize + row) % sources.length),
  )
}

async function takeSample(
  { name, worker, policy }: Contestant,
  { sources, maxNewTokens, isFixedLength }: Work,
  batch: readonly number[],
): Promise<Sample> {
  const rows = batch.map((index) => sources[index])
  const first = await worker.decode({ sources: rows, maxNewTokens: 1, policy })
  const before = cpuMsOf([worker.pid])
  const { ms, encoderMs, tokens } = await worker.decode({ sources: rows, maxNewTokens, policy })
  const after = cpuMsOf([worker.pid])
  const isWanted = (row: readonly number[]) =>
    isFixedLength ? row.length === maxNewTokens : row.length > 0 && row.length <= maxNewTokens
  if (tokens.length !== rows.length || !tokens.every(isWanted)) {
    const lengths = tokens.map((row) => row.length).join(', ')
    throw new ShallowDeepError({
      code: 'peers.other-work',
      message:
        `${name} did other work: expected ${rows.length} rows of ${isFixedLength ? '' : 'at most '}` +
        `${maxNewTokens} tokens, got lengths ${lengths}`,
      details: { name, lengths: tokens.map((row) => row.length) },
      kind: 'failure',
    })
  }
  return { sources: batch, tokens, ms, firstMs: first.ms, encoderMs, cpuMs: difference(after, before) }
}

function useOf(pid: number | undefined): ReturnType<typeof processUse> {
  return pid === undefined ? undefined : processUse(pid)
}

/** Of all together; undefined where that of one is. */
function cpuMsOf(pids: readonly (number | undefined)[]): number | undefined {
  let total = 0
  for (const pid of pids) {
    const use = useOf(pid)
    if (!use) return undefined
    total += use.cpuMs
  }
  return total
}

function difference(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a - b
}

function divide(a: number | undefined, b: number): number | undefined {
  return a === undefined ? undefined : a / b
}
