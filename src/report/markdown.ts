// A report as Markdown for a documentation folder: sentences, the table, and links to plots in files beside it.
import { escapeMarkdown } from './escape.js'
import { describeCalibration, describeFindings } from './findings.js'
import type { ReportInput } from './reportInput.js'
import { describeProvenance, drawCharts, evidenceOf, examplesOf } from './reportInput.js'
import { bestFixedNote, isSameSetting, metricsOf, metricTitle } from './resultRow.js'
import { markdownTable } from './table.js'
import { tokenView } from './tokenView.js'

/** A Markdown report and the files that it shows. */
export interface MarkdownReport {
  readonly markdown: string
  /** SVG texts by the path that the report links to, relative to it. */
  readonly files: Readonly<Record<string, string>>
}

/**
 * The report as Markdown with its plots as SVG files that follow the reader's scheme.
 * @param options `plotPrefix`: what the paths of the plots begin with, for example `plots/multi30k-`; default ''
 * Throws `report.no-rows` without results.
 */
export async function markdownReport(
  input: ReportInput,
  options: { readonly plotPrefix?: string } = {},
): Promise<MarkdownReport> {
  const { title, results } = input
  const provenance = describeProvenance(input)
  const charts = await drawCharts(input, 'auto')
  const evidence = evidenceOf(input)
  const files: Record<string, string> = {}
  const plot = (name: keyof typeof charts, alt: string): string[] => {
    const svg = charts[name]
    if (svg === null) return []
    const path = `${options.plotPrefix ?? ''}${name}.svg`
    files[path] = svg
    return [`![${alt}](${encodeURI(path)})`]
  }
  const hasBest = results.rows.some((row) => isSameSetting(row, results.bestFixed))
  const blocks = [
    `# ${escapeMarkdown(title)}`,
    bullets(describeFindings(results)),
    bullets(provenance.map(([name, value]) => `${name}: ${value}`)),
    markdownTable(results).trimEnd(),
    ...(hasBest ? [`Bold: ${escapeMarkdown(bestFixedNote(results.rows).slice(2))}.`] : []),
    ...plot('quality', `${metricTitle(metricsOf(results.rows)[0] ?? 'quality')} against speed`),
    ...plot('threshold', 'Shallow exits and layer passes against the threshold'),
    ...(evidence ? ['## Calibration', bullets(describeCalibration(evidence))] : []),
    ...plot('confidence', 'Confidence of the shallow exit, agreeing and disagreeing positions'),
    ...exampleBlocks(input),
  ]
  return { markdown: blocks.filter((block) => block !== '').join('\n\n') + '\n', files }
}

function exampleBlocks(input: ReportInput): string[] {
  const examples = examplesOf(input)
  if (examples.length === 0) return []
  return [
    '## Examples',
    'Deep tokens stand in brackets.',
    ...examples.map(({ source, references, tokens }) => {
      const lines = tokenView({ tokens }, { width: 100 }).split('\n')
      return bullets([source, ...references.map((text) => `Reference: ${text}`)]) + '\n\n' + fenced(lines)
    }),
  ]
}

function bullets(texts: readonly string[]): string {
  return texts.map((text) => `- ${escapeMarkdown(text)}`).join('\n')
}

/** A code block that no line in it ends early. */
function fenced(lines: readonly string[]): string {
  const longest = Math.max(2, ...lines.flatMap((line) => (line.match(/`+/g) ?? []).map((run) => run.length)))
  const fence = '`'.repeat(longest + 1)
  return [`${fence}text`, ...lines, fence].join('\n')
}
