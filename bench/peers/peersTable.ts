// The figures as tables, one a setting, and the sentences that belong to them.
import { formatMs, formatNumber, formatShare, formatTimes } from '../../src/report/format.js'
import type { BenchColumn, BenchTable } from '../benchTable.js'
import { BASELINES } from './peers.js'
import type { SubjectResult } from './run.js'
import type { BestLine, Line } from './summarise.js'

/** A table with what it is of. */
export interface TitledTable {
  readonly title: string
  readonly table: BenchTable<Line> | BenchTable<BestLine>
}

const BASELINE_HEADERS: Readonly<Record<(typeof BASELINES)[number], readonly [string, string]>> = {
  'ctranslate2-float32': ['× CT2', 'float32'],
  'ctranslate2-int8': ['× CT2', 'int8'],
  'pytorch-float32': ['× Py-', 'Torch'],
}

function ratioColumns<Row extends Pick<Line, 'ratios'>>(): BenchColumn<Row>[] {
  return BASELINES.map((name) => ({
    header: BASELINE_HEADERS[name],
    title: `× ${name}`,
    cell: ({ ratios }) => formatTimes(ratios[name]),
  }))
}

const LINE_COLUMNS: readonly BenchColumn<Line>[] = [
  { header: ['', ''], title: 'Engine', cell: ({ contestant }) => contestant },
  { header: ['', 'threads'], title: 'Threads', cell: ({ usedThreads }) => String(usedThreads) },
  { header: ['', 'ms/tok'], title: 'ms/token', cell: ({ msPerToken }) => formatMs(msPerToken.median) },
  {
    header: ['', 'range'],
    title: 'Range',
    cell: ({ msPerToken: { min, max } }) => `${formatMs(min)}–${formatMs(max)}`,
  },
  ...ratioColumns<Line>(),
  {
    header: ['enc.', 'ms'],
    title: 'Encoder ms',
    cell: ({ encoderMs, isEncoderEstimated }) => (isEncoderEstimated ? '~' : '') + formatMs(encoderMs),
  },
  { header: ['first', 'ms'], title: 'First token ms', cell: ({ firstMs }) => formatMs(firstMs) },
  {
    header: ['whole', 'ms/tok'],
    title: 'Whole ms/token',
    cell: ({ wholeMsPerToken }) => formatMs(wholeMsPerToken),
  },
  { header: ['cpu', 'ms/tok'], title: 'CPU ms/token', cell: ({ cpuMsPerToken }) => formatMs(cpuMsPerToken) },
  {
    header: ['', 'MB'],
    title: 'MB',
    cell: ({ residentBytes }) => formatNumber(residentBytes && residentBytes / 1e6),
  },
  { header: ['same', 'tokens'], title: 'Same tokens', cell: ({ sameTokens }) => formatShare(sameTokens) },
  { header: ['same', 'start'], title: 'Same start', cell: ({ sameStart }) => formatNumber(sameStart) },
]

const BLEU_COLUMN: BenchColumn<Line> = {
  header: ['', 'BLEU'],
  title: 'BLEU',
  cell: ({ bleu }) => formatNumber(bleu, 1),
}

const BEST_COLUMNS: readonly BenchColumn<BestLine>[] = [
  { header: ['', ''], title: 'Engine', cell: ({ contestant }) => contestant },
  { header: ['', 'threads'], title: 'Threads', cell: ({ threads }) => String(threads) },
  { header: ['', 'ms/tok'], title: 'ms/token', cell: ({ msPerToken }) => formatMs(msPerToken) },
  ...ratioColumns<BestLine>(),
]

/** A table for each setting and, where there are several numbers of threads, one of each engine at its best. */
export function peersTables({ subject, lines, best }: SubjectResult): readonly TitledTable[] {
  const settings = new Map<string, Line[]>()
  for (const line of lines) {
    const title = `${subject}, ${countOf(line.threads, 'thread')}, batch of ${line.batchSize}`
    settings.set(title, [...(settings.get(title) ?? []), line])
  }
  const tables: TitledTable[] = [...settings].map(([title, rows]) => {
    const isScored = rows.some(({ bleu }) => bleu !== null)
    return { title, table: { rows, columns: [...LINE_COLUMNS, ...(isScored ? [BLEU_COLUMN] : [])] } }
  })
  const isChoice = new Set(lines.map(({ threads }) => threads)).size > 1
  if (!isChoice || best.length === 0) return tables
  const title = `${subject}, batch of 1, each at its best number of threads`
  return [...tables, { title, table: { rows: best, columns: BEST_COLUMNS } }]
}

/** More processor time of waiting workers than this share of a core disturbs the figures. */
const DISTURBING_SHARE = 0.05

/** What a reader must know of the figures. */
export function describePeers(results: readonly SubjectResult[]): readonly string[] {
  const versions = new Map(results.flatMap((result) => Object.entries(result.versions)))
  return [
    'ms/token: decoding, encoder apart, median of the rounds, and the least and the most of them; ' +
      "×: the named engine's time / this one's, paired in each round, so above 1 is faster than it.",
    '~: estimated, as the engine does not tell (time to the first token less one step). ' +
      'Whole: everything a token. CPU: of all threads. MB: in memory after the last turn.',
    ...results.flatMap(({ subject, reference, idleShare }) => [
      ...(reference === null ? [] : [`${subject}: same tokens as ${reference}.`]),
      ...(idleShare !== null && idleShare > DISTURBING_SHARE
        ? [
            `${subject}: waiting workers took up to ${formatShare(idleShare)} of a core: figures are disturbed.`,
          ]
        : []),
    ]),
    ...[...versions].map(
      ([peer, parts]) =>
        `${peer}: ${Object.entries(parts)
          .map(([name, version]) => `${name} ${version}`)
          .join(', ')}.`,
    ),
  ]
}

function countOf(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? '' : 's'}`
}
