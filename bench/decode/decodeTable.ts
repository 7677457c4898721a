// Cells as a table, whose first column says what tells the rows apart, and the sentences that belong to it.
import { formatMs, formatNumber, formatShare, formatTimes } from '../../src/report/format.js'
import type { BenchColumn, BenchTable } from '../benchTable.js'
import type { CellResult } from './cellResult.js'

/** What a row can be told apart by: as its name has it, and as a sentence says what is the same for all rows. */
interface Part {
  /** '' where the part says nothing of the row. */
  readonly name: (row: CellResult) => string
  readonly common: (value: string) => string
}

const PARTS: readonly Part[] = [
  { name: ({ model }) => model, common: (model) => model },
  { name: ({ engine }) => engine.replace('tfjs:', ''), common: (engine) => engine },
  // Natively tfjs has one precision.
  {
    name: ({ engine, dtype }) => (engine === 'tfjs:node' ? '' : dtype),
    common: (dtype) => `in ${dtype}`,
  },
  {
    name: ({ threads }) => `${threads}t`,
    common: (threads) => `threads: ${threads.slice(0, -1)}`,
  },
  { name: ({ batchSize }) => `b${batchSize}`, common: (size) => `batch size ${size.slice(1)}` },
  {
    name: ({ policy, exits }) => (typeof exits === 'number' ? `${policy} ${exits}` : policy),
    common: (policy) => `policy ${policy}`,
  },
]

function valuesOf({ name }: Part, rows: readonly CellResult[]): Set<string> {
  return new Set(rows.map(name).filter((value) => value !== ''))
}

/** The table of some rows. */
export function decodeTable(rows: readonly CellResult[]): BenchTable<CellResult> {
  const varying = PARTS.filter((part) => valuesOf(part, rows).size > 1)
  const named = varying.length > 0 ? varying : PARTS.slice(-1)
  const nameOf = (row: CellResult) =>
    named
      .map(({ name }) => name(row))
      .filter((value) => value !== '')
      .join(' ')
  const all: BenchColumn<CellResult>[] = [
    { header: ['', ''], title: 'Cell', cell: nameOf },
    { header: ['ms/tok', 'p50'], title: 'ms/token p50', cell: (row) => formatMs(row.msPerTokenP50) },
    { header: ['', 'p95'], title: 'p95', cell: (row) => formatMs(row.msPerTokenP95) },
    { header: ['speed-', 'up'], title: 'Speed-up', cell: (row) => formatTimes(row.speedup.p50) },
    {
      header: ['', 'range'],
      title: 'Range',
      cell: ({ speedup: { low, high } }) => `${formatNumber(low, 2)}–${formatNumber(high, 2)}`,
    },
    { header: ['bound', 'ms'], title: 'Bound ms', cell: (row) => formatMs(row.boundMsPerToken) },
    { header: ['dis-', 'tance'], title: 'Distance', cell: (row) => formatTimes(row.distanceToBound) },
    { header: ['its', 'sp.-up'], title: 'Bound speed-up', cell: (row) => formatTimes(row.boundSpeedup) },
    { header: ['', 'tok/s'], title: 'tokens/s', cell: (row) => formatNumber(row.tokensPerSecond) },
    { header: ['', 'cpu ms'], title: 'CPU ms/token', cell: (row) => formatMs(row.cpuMsPerToken) },
    { header: ['enc.', 'ms'], title: 'Encoder ms', cell: (row) => formatMs(row.encoderMsP50) },
    { header: ['first', 'ms'], title: 'First token ms', cell: (row) => formatMs(row.firstTokenMsP50) },
    { header: ['shal-', 'low'], title: 'Shallow', cell: (row) => formatShare(row.shallowShare, 0) },
    { header: ['flu-', 'shes'], title: 'Flushes', cell: (row) => formatNumber(row.flushes) },
    { header: ['mean', 'flush'], title: 'Mean flush', cell: (row) => formatNumber(row.meanFlushSize, 1) },
    { header: ['peak', 'MB'], title: 'Peak MB', cell: (row) => formatNumber(row.peakMegabytes) },
  ]
  return { rows, columns: all }
}

/** What is the same for all rows, in a line: `t5-small, onnx in q4, threads: 2, batch size 1`. */
export function describeCommon(rows: readonly CellResult[]): string {
  return PARTS.flatMap((part) => {
    const [value, ...others] = valuesOf(part, rows)
    return value === undefined || others.length > 0 ? [] : [part.common(value)]
  }).join(', ')
}

/** How to read the table. */
export function describeMeasurement(
  rows: readonly CellResult[],
  {
    agreement,
    bandwidths,
    usesProfit = false,
  }: {
    readonly agreement: number
    readonly bandwidths: Readonly<Record<number, number>>
    readonly usesProfit?: boolean
  },
): string[] {
  const isReplayed = rows.some(({ exits }) => typeof exits === 'number' || exits === 'trace')
  const isVerified = isReplayed && rows.some(({ policy }) => policy === 'lossless')
  const atThreads = Object.entries(bandwidths).map(
    ([threads, rate]) =>
      `${formatNumber(rate, 1)} GB/s with ${threads === '1' ? '1 thread' : `${threads} threads`}`,
  )
  return [
    `Speed-up: over full decoding with the same engine, batch size and round, median of ${rows[0].rounds} rounds and range.`,
    `Bound: bytes that must be read over the memory's ${atThreads.join(', ')}; distance: the median over it; ` +
      'CPU: of all threads; peak: memory that opening the engine and decoding with it took at most.',
    ...(isReplayed
      ? [
          'Exits are replayed: each exit computes its head and its confidence and each flush its deep layers, but a trace says who leaves.',
        ]
      : []),
    ...(usesProfit
      ? [
          'By the profit rule: each cell learns from its own sequences and decodes as full where early exits would cost more.',
        ]
      : []),
    ...(isVerified
      ? [
          agreement === 1
            ? 'Replayed lossless: verified, and nothing is taken back; the cost of a draft that is wrong is not in it (see --agreement).'
            : `Replayed lossless: verified, and a draft is taken back with probability ${formatNumber(1 - agreement, 2)}.`,
        ]
      : []),
  ]
}
