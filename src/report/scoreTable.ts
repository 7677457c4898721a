// Scores by metric as plain text: a table with intervals, and below it the signatures that make scores comparable.
import pc from 'picocolors'
import type { QualityScore } from '../evaluation/index.js'
import { wrapText } from './displayWidth.js'
import { escapeTerminal } from './escape.js'
import { DASH, formatNumber, formatShare } from './format.js'
import { metricTitle } from './resultRow.js'
import { MIN_WIDTH, textTable } from './textTable.js'

/** How to lay out scores for a terminal. */
export interface ScoreTableOptions {
  /** Coverage of the intervals, for their header. */
  readonly level: number
  /** Columns of the terminal; default 80, less than 24 counts as 24. */
  readonly width?: number
  /** Default false. */
  readonly colour?: boolean
}

/** A row a metric; without a line feed at its end. No line is wider than the terminal. */
export function scoreTable(
  quality: Readonly<Record<string, QualityScore>>,
  { level, colour = false, ...options }: ScoreTableOptions,
): string {
  const width = Math.max(MIN_WIDTH, options.width ?? 80)
  const colours = pc.createColors(colour)
  const scores = Object.entries(quality)
  const table = textTable({
    label: { header: ['', 'metric'], align: 'left', cells: scores.map(([name]) => metricTitle(name)) },
    columns: [
      { header: ['', 'score'], align: 'right', cells: scores.map(([, { score }]) => formatNumber(score, 2)) },
      {
        header: [formatShare(level, 0), 'interval'],
        align: 'right',
        cells: scores.map(([, score]) => formatInterval(score, (end) => formatNumber(end, 2))),
      },
    ],
    width,
    colour,
  })
  return [...table, '', ...signatureLines(quality, width).map((line) => colours.dim(line))].join('\n')
}

/** An interval, `43.74 to 48.03`; a dash where there is none. */
export function formatInterval(
  { low, high }: { readonly low: number | null; readonly high: number | null },
  format: (end: number) => string,
): string {
  return low === null || high === null ? DASH : `${format(low)} to ${format(high)}`
}

/** `BLEU: nrefs:1|case:mixed|...`, a line each, broken where it does not fit. */
export function signatureLines(
  quality: Readonly<Record<string, Pick<QualityScore, 'signature'>>>,
  width: number,
): string[] {
  return Object.entries(quality).flatMap(([name, { signature }]) =>
    wrapText(escapeTerminal(`${metricTitle(name)}: ${signature}`), width, '  '),
  )
}
