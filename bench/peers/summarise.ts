// From turns to numbers: times a token, ratios to the baselines, agreement of the outputs. Pure functions.
import type { Sample, Turn } from './measure.js'

/** The middle one of the rounds, and the extremes. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** A contestant in one setting. */
export interface Line {
  readonly contestant: string
  /** Threads asked for, and those that it really took. */
  readonly threads: number
  readonly usedThreads: number
  readonly batchSize: number
  /** Decoding time a token, encoder apart; a round's is the median of its batches. */
  readonly msPerToken: Spread
  /** Of a batch. Estimated where the peer does not tell: the time to the first token less one step. */
  readonly encoderMs: number
  readonly isEncoderEstimated: boolean
  /** Time to a batch's first tokens: the encoder, one step, and what a call costs. */
  readonly firstMs: number
  /** Everything, the encoder too, a token. */
  readonly wholeMsPerToken: number
  /** Processor time of everything, all threads together, a token; null where the system does not tell. */
  readonly cpuMsPerToken: number | null
  /** How many times the baseline's decoding time is this one's: the median of the rounds' ratios; null without that baseline. */
  readonly ratios: Readonly<Record<string, number | null>>
  /** Memory in place at the end; null where the system does not tell. */
  readonly residentBytes: number | null
  /** Share of the tokens that are the reference's at the same place; null without a reference. */
  readonly sameTokens: number | null
  /** Tokens before the first one that differs, in the source where it comes first; null likewise. */
  readonly sameStart: number | null
  /** Score of the outputs, where there is something to score against. */
  readonly bleu: number | null
}

/** A contestant at its best number of threads, batch of one. */
export interface BestLine {
  readonly contestant: string
  readonly threads: number
  readonly msPerToken: number
  /** To the baselines at theirs. */
  readonly ratios: Readonly<Record<string, number | null>>
}

/** What a batch's times come to. */
export interface BatchTimes {
  readonly msPerToken: number
  readonly encoderMs: number
}

/**
 * Times of one batch. Where the encoder's is not known, all steps count as equally long: the first token took the encoder
 * and one of them.
 */
export function batchTimes({ ms, firstMs, encoderMs, tokens }: Sample): BatchTimes {
  const lengths = tokens.map((row) => row.length)
  const numSteps = Math.max(...lengths)
  const known = encoderMs ?? estimateEncoder({ ms, firstMs, numSteps })
  const numTokens = lengths.reduce((total, length) => total + length, 0)
  return { msPerToken: (ms - known) / numTokens, encoderMs: known }
}

function estimateEncoder({
  ms,
  firstMs,
  numSteps,
}: {
  ms: number
  firstMs: number
  numSteps: number
}): number {
  if (numSteps < 2) return 0
  const step = (ms - firstMs) / (numSteps - 1)
  return Math.max(0, firstMs - step)
}

/** What a summary is made with, beside the turns. */
export interface SummaryContext {
  readonly threads: number
  readonly batchSize: number
  /** Names of the contestants that ratios are to. */
  readonly baselines: readonly string[]
  /** Name of the contestant whose tokens are the reference; undefined where none took part. */
  readonly reference: string | undefined
  readonly usedThreads: (contestant: string) => number
  /** Score of outputs by source. Neutral: undefined, null for all. */
  readonly score?: (outputs: Outputs) => number
}

/** A contestant's output tokens by the index of the source. */
export type Outputs = ReadonlyMap<number, readonly number[]>

/** A line for each contestant that has turns, in the order of their first ones in `names`. */
export function summarise(
  names: readonly string[],
  turns: readonly Turn[],
  context: SummaryContext,
): readonly Line[] {
  const byName = new Map(names.map((name) => [name, turns.filter(({ contestant }) => contestant === name)]))
  const reference = context.reference && outputsOf(byName.get(context.reference) ?? [])
  return names.flatMap((name) => {
    const own = byName.get(name)!
    if (own.length === 0) return []
    const samples = own.flatMap((turn) => turn.samples)
    const outputs = outputsOf(own)
    const rounds = roundTimes(own)
    const cpu = samples.map(({ cpuMs }) => cpuMs)
    const numTokens = samples.reduce((total, { tokens }) => total + tokens.flat().length, 0)
    const line: Line = {
      contestant: name,
      threads: context.threads,
      usedThreads: context.usedThreads(name),
      batchSize: context.batchSize,
      msPerToken: spread([...rounds.values()]),
      encoderMs: median(samples.map((sample) => batchTimes(sample).encoderMs)),
      isEncoderEstimated: samples.some(({ encoderMs }) => encoderMs === null),
      firstMs: median(samples.map(({ firstMs }) => firstMs)),
      wholeMsPerToken: median(samples.map(({ ms, tokens }) => ms / tokens.flat().length)),
      cpuMsPerToken: cpu.every((ms) => ms !== undefined) ? cpu.reduce((a, b) => a + b, 0) / numTokens : null,
      ratios: Object.fromEntries(
        context.baselines.map((baseline) => [baseline, pairedRatio(byName.get(baseline) ?? [], rounds)]),
      ),
      residentBytes: own.at(-1)!.residentBytes ?? null,
      ...(reference ? agreement(reference, outputs) : { sameTokens: null, sameStart: null }),
      bleu: context.score?.(outputs) ?? null,
    }
    return [line]
  })
}

/** Each contestant at the number of threads that it was fastest with, batch of one; in the order of the lines. */
export function bestLines(lines: readonly Line[], baselines: readonly string[]): readonly BestLine[] {
  const best = new Map<string, Line>()
  for (const line of lines.filter(({ batchSize }) => batchSize === 1)) {
    const known = best.get(line.contestant)
    if (!known || line.msPerToken.median < known.msPerToken.median) best.set(line.contestant, line)
  }
  return [...best.values()].map(({ contestant, usedThreads, msPerToken: { median: ms } }) => ({
    contestant,
    threads: usedThreads,
    msPerToken: ms,
    ratios: Object.fromEntries(
      baselines.map((name) => [name, best.has(name) ? best.get(name)!.msPerToken.median / ms : null]),
    ),
  }))
}

/** How far outputs are the reference's, over the sources that both have. */
export function agreement(
  reference: Outputs,
  outputs: Outputs,
): { readonly sameTokens: number | null; readonly sameStart: number | null } {
  let [same, all, sameStart] = [0, 0, Infinity]
  for (const [source, tokens] of outputs) {
    const wanted = reference.get(source)
    if (!wanted) continue
    const length = Math.max(tokens.length, wanted.length)
    const differs = Array.from({ length }, (_, i) => tokens[i] !== wanted[i])
    all += length
    same += differs.filter((isOther) => !isOther).length
    const first = differs.indexOf(true)
    sameStart = Math.min(sameStart, first < 0 ? length : first)
  }
  return all === 0 ? { sameTokens: null, sameStart: null } : { sameTokens: same / all, sameStart }
}

/** The middle value; of an even number the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length / 2
  return (sorted[Math.floor(half)] + sorted[Math.ceil(half) - 1]) / 2
}

function outputsOf(turns: readonly Turn[]): Outputs {
  const samples = turns.flatMap((turn) => turn.samples)
  return new Map(
    samples.flatMap(({ sources, tokens }) => sources.map((source, row) => [source, tokens[row]])),
  )
}

/** By round: the median of its batches' times a token. */
function roundTimes(turns: readonly Turn[]): ReadonlyMap<number, number> {
  return new Map(
    turns.map(({ round, samples }) => [
      round,
      median(samples.map((sample) => batchTimes(sample).msPerToken)),
    ]),
  )
}

function pairedRatio(baseline: readonly Turn[], own: ReadonlyMap<number, number>): number | null {
  const ratios = [...roundTimes(baseline)].flatMap(([round, ms]) =>
    own.has(round) ? [ms / own.get(round)!] : [],
  )
  return ratios.length === 0 ? null : median(ratios)
}

function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}
