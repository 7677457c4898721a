// One HTML page about one set of results, complete in itself: nothing is loaded, no script runs, and all text that comes
// from outside is escaped. Well-formed as XML too, so that damage to its structure can be tested for.
import type { EvaluatedOutput, OutputToken } from '../evaluation/index.js'
import { countShallow, flushesOf, shownToken } from './decodedOutput.js'
import { escapeXml } from './escape.js'
import { describeCalibration, describeFindings } from './findings.js'
import { DASH, formatCount, formatNumber, formatShare } from './format.js'
import { PAGE_STYLE } from './pageStyle.js'
import type { ReportInput } from './reportInput.js'
import { describeProvenance, drawCharts, evidenceOf, examplesOf } from './reportInput.js'
import type { ResultColumn } from './resultColumns.js'
import { policyColumn, resultColumns } from './resultColumns.js'
import type { ReportedResults } from './resultRow.js'
import {
  BEST_FIXED_MARK,
  bestFixedNote,
  isSameSetting,
  metricsOf,
  metricTitle,
  rowKind,
} from './resultRow.js'
import { tokenDiagram } from './tokenDiagram.js'

/**
 * The report as the text of an HTML file. The same input gives the same text.
 * Throws `report.no-rows` without results.
 */
export async function htmlReport(input: ReportInput): Promise<string> {
  const { title, results } = input
  const provenance = describeProvenance(input)
  const charts = await drawCharts(input, 'inherit')
  const evidence = evidenceOf(input)
  const examples = examplesOf(input)
  const parts = [
    `<h1>${escapeXml(title)}</h1>`,
    list(describeFindings(results)),
    section('What was measured', definitions(provenance)),
    section('Results', resultsTable(results) + columnMeanings(results) + signatures(results)),
    charts.quality &&
      section(
        'Quality against speed',
        figure(
          charts.quality,
          'Up is better, right is faster. Numbers are thresholds. All policies decoded the same examples, so differences between them are surer than the intervals in the table.',
        ),
      ),
    charts.threshold &&
      section(
        'What the threshold does',
        figure(charts.threshold, 'A higher threshold sends more tokens through the deep layers.'),
      ),
    evidence &&
      charts.confidence &&
      section(
        'Calibration',
        list(describeCalibration(evidence)) +
          figure(
            charts.confidence,
            'Confidence of the shallow exit at flushed positions. Lines: the fitted densities, on the scale of the counts. Shaded: above the threshold.',
          ),
      ),
    examples.length > 0 && section('Examples', examplesSection(examples)),
  ]
  return page(title, parts.filter((part) => part).join('\n'))
}

function page(title: string, body: string): string {
  return `<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'" />
<title>${escapeXml(title)}</title>
<style>
${PAGE_STYLE}
</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`
}

function section(heading: string, content: string): string {
  return `<section>\n<h2>${escapeXml(heading)}</h2>\n${content}\n</section>`
}

function list(sentences: readonly string[]): string {
  return sentences.length === 0
    ? ''
    : `<ul>${sentences.map((text) => `<li>${escapeXml(text)}</li>`).join('\n')}</ul>`
}

function definitions(entries: readonly (readonly [string, string])[]): string {
  const isCode = (name: string) => name === 'Command'
  const value = (name: string, text: string) =>
    isCode(name) ? `<code>${escapeXml(text)}</code>` : escapeXml(text)
  return `<dl>${entries.map(([name, text]) => `<dt>${escapeXml(name)}</dt><dd>${value(name, text)}</dd>`).join('\n')}</dl>`
}

function figure(svg: string, caption: string): string {
  return `<figure>\n${svg}\n<figcaption>${escapeXml(caption)}</figcaption>\n</figure>`
}

function columnsOf({ rows }: ReportedResults): ResultColumn[] {
  return resultColumns(metricsOf(rows))
}

function resultsTable(results: ReportedResults): string {
  const { rows, bestFixed } = results
  const columns = columnsOf(results)
  const hasBest = rows.some((row) => isSameSetting(row, bestFixed))
  const head = [policyColumn, ...columns]
    .map(({ title, meaning }) => `<th scope="col" title="${escapeXml(meaning)}">${escapeXml(title)}</th>`)
    .join('')
  const body = rows.map((row) => {
    const isBest = isSameSetting(row, bestFixed)
    const name = escapeXml(policyColumn.cell(row)) + (isBest ? ` ${BEST_FIXED_MARK}` : '')
    const key = `<span class="key key-${rowKind(row)}" aria-hidden="true"></span>`
    const cells = columns.map((column) => {
      const detail = column.detail?.(row)
      const interval = detail ? ` <span class="interval">${escapeXml(detail)}</span>` : ''
      return `<td>${escapeXml(column.cell(row))}${interval}</td>`
    })
    return `<tr${isBest ? ' class="best"' : ''}><th scope="row">${key}${name}</th>${cells.join('')}</tr>`
  })
  const caption = hasBest ? bestFixedNote(rows) : 'All policies on the same examples'
  return `<div class="scroll" role="region" aria-label="Table of results" tabindex="0">
<table>
<caption>${escapeXml(caption)}</caption>
<thead><tr>${head}</tr></thead>
<tbody>
${body.join('\n')}
</tbody>
</table>
</div>`
}

function columnMeanings(results: ReportedResults): string {
  const terms = columnsOf(results).map(({ title, meaning }) => [title, meaning] as const)
  return `\n<details><summary>What the columns mean</summary>${definitions(terms)}</details>`
}

/** What makes the scores and areas comparable with others'. */
function signatures({ rows, areaUnderCurve }: ReportedResults): string {
  const scores = metricsOf(rows).map((metric) => {
    const found = new Set(rows.flatMap((row) => row.quality[metric]?.signature ?? []))
    return `<p class="note">${escapeXml(metricTitle(metric))}: ${[...found].map((text) => `<code>${escapeXml(text)}</code>`).join(', ')}</p>`
  })
  const areas = Object.entries(areaUnderCurve ?? {}).filter(([, area]) => area !== null)
  const areaNote =
    areas.length === 0
      ? []
      : [
          `<p class="note">Area under quality against latency: ${areas.map(([policy, area]) => `${escapeXml(policy)} ${formatNumber(area, 2)}`).join(', ')}</p>`,
        ]
  return '\n' + [...scores, ...areaNote].join('\n')
}

function examplesSection(examples: readonly EvaluatedOutput[]): string {
  const legend =
    '<p class="note"><span class="t shallow">shallow exit</span> <span class="t deep">deep exit</span> ' +
    '– point at a token for its confidence and layer.</p>'
  const diagram = figure(
    tokenDiagram(examples[0], { theme: 'inherit', width: 900 }),
    'The first example as it was decoded. Dotted: pending tokens whose deep layers ran later, together with the next deep token.',
  )
  return [legend, diagram, ...examples.map(example)].join('\n')
}

function example({ source, references, tokens }: EvaluatedOutput): string {
  const notes = tokenNotes(tokens)
  const spans = tokens.map((token, i) => {
    const { space, body } = shownToken(tokens, i)
    const title = escapeXml(notes[i].join(', '))
    return `${escapeXml(space)}<span class="t ${token.exit}" title="${title}">${escapeXml(body)}</span>`
  })
  const numShallow = countShallow(tokens)
  const share = formatShare(tokens.length === 0 ? null : numShallow / tokens.length, 0)
  const rows = tokens.map((token, i) => {
    const cells = [
      String(token.exitLayer),
      formatNumber(token.confidence, 3),
      formatNumber(flushSizeOf(tokens, i) || null),
    ]
    const name = `<td class="word">${escapeXml(shownToken(tokens, i).body)}</td><td class="word">${token.exit}</td>`
    return `<tr>${name}${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
  })
  const head = ['Token', 'Exit', 'Layer', 'Confidence', 'Flush size']
    .map((name, i) => `<th scope="col"${i === 1 ? ' class="word"' : ''}>${name}</th>`)
    .join('')
  return `<div class="example">
<p class="source" dir="auto">${escapeXml(source)}</p>
<p class="tokens" dir="auto">${spans.join('')}</p>
${references.length === 0 ? '' : `<ul class="references">${references.map((text) => `<li dir="auto">Reference: ${escapeXml(text)}</li>`).join('')}</ul>`}
<details><summary>${numShallow} of ${formatCount(tokens.length, 'token')} exited shallow (${share}); token by token</summary>
<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table></div></details>
</div>`
}

/** What a tooltip says of each token. */
function tokenNotes(tokens: readonly OutputToken[]): string[][] {
  const flushes = flushesOf(tokens)
  return tokens.map(({ exit, exitLayer, confidence }, i) => {
    const flush = flushes.find(({ first, last }) => i >= first && i <= last)
    const size = formatCount(flushSizeOf(tokens, i), 'position')
    return [
      `${exit} exit`,
      `layer ${exitLayer}`,
      `confidence ${confidence === null ? DASH : formatNumber(confidence, 3)}`,
      exit === 'deep'
        ? `flush of ${size}`
        : flush
          ? `its deep layers ran in the flush of ${size}`
          : 'never flushed',
    ]
  })
}

/** Positions of the flush that a token came from or went into; 0 where it was never flushed. */
function flushSizeOf(tokens: readonly OutputToken[], index: number): number {
  const flush = flushesOf(tokens).find(({ first, last }) => index >= first && index <= last)
  return flush ? (tokens[flush.last].flushSize ?? flush.last - flush.first + 1) : 0
}
