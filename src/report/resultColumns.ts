// The columns of a table of results, defined once for the terminal, Markdown and HTML.
import type { EvaluationResult } from '../evaluation/index.js'
import { formatMs, formatNumber, formatShare, formatTimes } from './format.js'
import { metricTitle, rowLabel, scoreOf } from './resultRow.js'

/** One column of a table of results. */
export interface ResultColumn {
  readonly key: string
  /** Two short lines for a terminal; the first may be empty. */
  readonly header: readonly [string, string]
  /** Name with its unit, for wide tables. */
  readonly title: string
  /** What the numbers are, one sentence without its full stop. */
  readonly meaning: string
  readonly align: 'left' | 'right'
  /** A row's cell; a dash where there is no number. */
  cell(row: EvaluationResult): string
  /** What belongs to the cell where there is room, its confidence interval; null without one. */
  detail?(row: EvaluationResult): string | null
}

/** The first column: what was measured. */
export const policyColumn: ResultColumn = {
  key: 'policy',
  header: ['', 'policy'],
  title: 'Policy',
  meaning: 'The rule that decides per token, with its threshold where it has one',
  align: 'left',
  cell: rowLabel,
}

function qualityColumn(metric: string): ResultColumn {
  const title = metricTitle(metric)
  const [first, ...rest] = title.split(' ')
  return {
    key: metric,
    header: rest.length > 0 ? [first, rest.join(' ')] : ['', title],
    title,
    meaning: 'Quality of the outputs, 0 to 100, higher is better',
    align: 'right',
    cell: (row) => formatNumber(scoreOf(row, metric), 2),
    detail: (row) => {
      const { low = null, high = null } = row.quality[metric] ?? {}
      return low === null || high === null ? null : `(${formatNumber(low, 2)} to ${formatNumber(high, 2)})`
    },
  }
}

const measuredColumns: readonly ResultColumn[] = [
  {
    key: 'msPerTokenP50',
    header: ['p50', 'ms/tok'],
    title: 'ms/token p50',
    meaning: 'Decoding time a token, encoder apart: median over the sequences',
    align: 'right',
    cell: ({ latency }) => formatMs(latency.msPerTokenP50),
  },
  {
    key: 'msPerTokenP95',
    header: ['p95', 'ms/tok'],
    title: 'ms/token p95',
    meaning: 'The same: 95 of 100 sequences take less',
    align: 'right',
    cell: ({ latency }) => formatMs(latency.msPerTokenP95),
  },
  {
    key: 'speedup',
    header: ['speed-', 'up'],
    title: 'Speed-up',
    meaning: "Decoding time of full over this policy's, on the same examples",
    align: 'right',
    cell: ({ speedup }) => formatTimes(speedup),
  },
  {
    key: 'shallowShare',
    header: ['shallow', 'exits'],
    title: 'Shallow exits',
    meaning: 'Share of tokens that left after the shallow layers',
    align: 'right',
    cell: ({ exits }) => formatShare(exits.shallowShare),
  },
  {
    key: 'meanDepth',
    header: ['mean', 'depth'],
    title: 'Mean depth',
    meaning: 'Decoder layers that a token passed before it was emitted',
    align: 'right',
    cell: ({ exits }) => formatNumber(exits.meanDepth, 2),
  },
  {
    key: 'agreement',
    header: ['agree-', 'ment'],
    title: 'Agreement',
    meaning:
      'Share of flushed positions at which both exits chose the same token; of those that gave evidence',
    align: 'right',
    cell: ({ exits }) => formatShare(exits.agreement),
  },
  {
    key: 'flushes',
    header: ['', 'flushes'],
    title: 'Flushes',
    meaning: 'Deep passes over the pending positions and the current one',
    align: 'right',
    cell: ({ exits }) => formatNumber(exits.flushes),
  },
  {
    key: 'meanFlushSize',
    header: ['mean', 'flush'],
    title: 'Mean flush size',
    meaning: 'Positions in one such pass',
    align: 'right',
    cell: ({ exits }) => formatNumber(exits.meanFlushSize, 2),
  },
]

/** Columns of a table of results after {@link policyColumn}, one of quality for each of the metrics. */
export function resultColumns(metrics: readonly string[]): ResultColumn[] {
  return [...metrics.map(qualityColumn), ...measuredColumns]
}
