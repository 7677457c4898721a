// A comparison of two runs as plain text: the table of its qualities and the sentences that say what it comes to.
import type { Comparison, Estimate, QualityComparison } from '../evaluation/index.js'
import { wrapText } from './displayWidth.js'
import { escapeTerminal } from './escape.js'
import { DASH, formatCount, formatMs, formatNumber, formatShare, formatTimes } from './format.js'
import { metricTitle } from './resultRow.js'
import { formatInterval, signatureLines, type ScoreTableOptions } from './scoreTable.js'
import { MIN_WIDTH, textTable, type TextColumn } from './textTable.js'

/** A comparison and how its two runs are called. */
export type NamedComparison = Comparison & { readonly baseline: string; readonly candidate: string }

/**
 * A row a metric, A for the baseline and B for the candidate; below it what A and B are, the findings and the signatures.
 * Without a line feed at its end; no line is wider than the terminal.
 */
export function comparisonTable(
  comparison: NamedComparison,
  { level, colour = false, ...options }: ScoreTableOptions,
): string {
  const width = Math.max(MIN_WIDTH, options.width ?? 80)
  const rows = Object.entries(comparison.quality)
  const column = (
    header: TextColumn['header'],
    cell: (quality: QualityComparison) => string,
  ): TextColumn => ({ header, align: 'right', cells: rows.map(([, quality]) => cell(quality)) })
  const interval = `${formatShare(level, 0)}`
  const table = textTable({
    label: { header: ['', 'metric'], align: 'left', cells: rows.map(([name]) => metricTitle(name)) },
    columns: [
      column(['', 'A'], ({ baseline }) => formatNumber(baseline, 2)),
      column(['', 'B'], ({ candidate }) => formatNumber(candidate, 2)),
      column(['', 'B - A'], ({ difference }) => formatNumber(difference.value, 2)),
      column([interval, 'interval'], ({ difference }) =>
        formatInterval(difference, (end) => formatNumber(end, 2)),
      ),
      column(['', 'p'], ({ pValue }) => formatNumber(pValue.randomisation, 3)),
      column(['', 'B / A'], ({ ratio }) => formatShare(ratio?.value, 1)),
      column([interval, 'interval'], ({ ratio }) =>
        ratio ? formatInterval(ratio, (end) => formatShare(end, 1)) : DASH,
      ),
    ],
    width,
    colour,
  })
  const sentences = describeComparison(comparison, level).flatMap((text) => wrapText(text, width, '  '))
  return [...table, '', ...sentences, '', ...signatureLines(comparison.quality, width)].join('\n')
}

/** What A and B are, how much of the first metric B keeps, and how fast it is; a sentence each. */
export function describeComparison(comparison: NamedComparison, level: number): string[] {
  const { baseline, candidate, examples, quality, latency } = comparison
  const [[name, first]] = Object.entries(quality)
  const { ratio, pValue } = first
  const confidence = formatShare(level, 0)
  return [
    `A: ${escapeTerminal(baseline)}; B: ${escapeTerminal(candidate)}; ${formatCount(examples, 'example')}.`,
    ratio
      ? `B keeps ${withInterval(ratio, (share) => formatShare(share, 1))} of A's ${metricTitle(name)}; ${confidence} interval over the examples.`
      : `A scores 0 in ${metricTitle(name)} on some choices of examples: what share of it B keeps cannot be said.`,
    `A difference this large has p = ${formatNumber(pValue.randomisation, 3)} between equals by approximate randomisation, ` +
      `${formatNumber(pValue.bootstrap, 3)} by paired bootstrap.`,
    ...(latency
      ? [
          `B decodes ${withInterval(latency.speedup, formatTimes)} as fast as A: ${formatMs(latency.candidateMsPerToken)} ` +
            `against ${formatMs(latency.baselineMsPerToken)} ms a token, in two separate measurements.`,
        ]
      : []),
  ]
}

function withInterval(estimate: Estimate, format: (value: number) => string): string {
  const value = format(estimate.value)
  return estimate.low === null ? value : `${value} (${formatInterval(estimate, format)})`
}
