// What a report of results is made of, the same for HTML and Markdown: the results, where they come from, and the choice
// of what to show.
import type { EvaluatedOutput, EvidenceSummary } from '../evaluation/index.js'
import { confidenceChart, fixedThresholdRows, qualityChart, thresholdChart } from './charts/index.js'
import { describeSetup, metricsOf, requireRows } from './resultRow.js'
import type { ReportedResults } from './resultRow.js'
import type { SvgTheme } from './svgDocument.js'

/** Where results come from, in the words that the report shall print. */
export interface Provenance {
  readonly checkpoint: string
  readonly data: string
  /** The command that measured them. */
  readonly command: string
  /** Of the measurement; reports do not look at the clock. */
  readonly date: string
  readonly machine?: string
  readonly seed?: number
}

/** A report's content. */
export interface ReportInput {
  readonly title: string
  readonly results: ReportedResults
  readonly provenance: Provenance
  /** Default the first row's that has some. A saved calibration is one. */
  readonly evidence?: EvidenceSummary
  /** How many example outputs to show, default 8; `none` for data whose text must not be passed on. */
  readonly examples?: number | 'none'
}

/** The pictures of a report as SVG; null where there is nothing to draw. */
export interface ReportCharts {
  readonly quality: string | null
  readonly threshold: string | null
  readonly confidence: string | null
}

/** All that was measured and how, as names and values. Throws `report.no-rows`. */
export function describeProvenance({ results, provenance }: ReportInput): [name: string, value: string][] {
  requireRows(results.rows)
  const { checkpoint, data, command, date, machine, seed } = provenance
  const setups = new Set(results.rows.map(describeSetup))
  const entries: [string, string | undefined][] = [
    ['Checkpoint', checkpoint],
    ['Data', data],
    ['Measured on', [...setups].join('; ')],
    ['Machine', machine],
    ['Seed', seed?.toString()],
    ['Date', date],
    ['Command', command],
  ]
  return entries.filter((entry): entry is [string, string] => entry[1] !== undefined)
}

/** The evidence to show. */
export function evidenceOf({ evidence, results }: ReportInput): EvidenceSummary | undefined {
  return evidence ?? results.rows.find((row) => row.evidence)?.evidence
}

/** The examples to show: of the first row that has some. */
export function examplesOf({ examples = 8, results }: ReportInput): readonly EvaluatedOutput[] {
  if (examples === 'none') return []
  const row = results.rows.find(({ outputs }) => outputs && outputs.length > 0)
  return row?.outputs?.slice(0, examples) ?? []
}

/** Draws what the input has data for. */
export async function drawCharts(input: ReportInput, theme: SvgTheme): Promise<ReportCharts> {
  const { results } = input
  const evidence = evidenceOf(input)
  const [quality, threshold, confidence] = await Promise.all([
    metricsOf(results.rows).length > 0 ? qualityChart(results, { theme }) : null,
    fixedThresholdRows(results.rows).length > 1 ? thresholdChart(results, { theme }) : null,
    evidence ? confidenceChart(evidence, { theme }) : null,
  ])
  return { quality, threshold, confidence }
}
