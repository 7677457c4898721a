// Facts about one row of results that every kind of report needs: its name, its metric, its place among the others.
import type { AblationResult, EvaluationResult } from '../evaluation/index.js'
import { ShallowDeepError } from '../errors.js'
import { formatCount, formatShare, formatThreshold } from './format.js'

/** Rows to report and, where it is known, which of them are the best fixed and the adaptive one, and the areas. */
export type ReportedResults = Pick<AblationResult, 'rows'> &
  Partial<Pick<AblationResult, 'bestFixed' | 'adaptive' | 'areaUnderCurve'>>

/** Which kind of setting a row is, for colours and marks; `other` where the policy is not known here. */
export type RowKind = 'full' | 'static' | 'fixed' | 'adaptive' | 'lossless' | 'rollback' | 'calm' | 'other'

/** The share of full's quality that a setting is asked to keep. */
export const QUALITY_FLOOR = 0.99

/** Stands beside the best fixed threshold in a table. */
export const BEST_FIXED_MARK = '*'

const METRIC_NAMES: Readonly<Record<string, string>> = {
  bleu: 'BLEU',
  'bleu-intl': 'BLEU intl',
  'bleu-char': 'BLEU char',
  'bleu-sentence': 'BLEU sentence',
  chrf: 'chrF',
  'chrf++': 'chrF++',
  rouge1: 'ROUGE-1',
  rouge2: 'ROUGE-2',
  rougeL: 'ROUGE-L',
  rougeLsum: 'ROUGE-Lsum',
  'rouge1-stem': 'ROUGE-1 stem',
  'rouge2-stem': 'ROUGE-2 stem',
  'rougeL-stem': 'ROUGE-L stem',
  'rougeLsum-stem': 'ROUGE-Lsum stem',
  exactMatch: 'exact match',
  f1: 'F1',
}

/** `full`, `static`, `free 0.5`, `free adaptive`, or the row's own label where it says more than the policy. */
export function rowLabel(row: EvaluationResult): string {
  if (row.label !== undefined && row.label !== row.policy) return row.label
  if (row.threshold === null) return row.policy
  const threshold = typeof row.threshold === 'number' ? formatThreshold(row.threshold) : row.threshold
  return `${row.policy} ${threshold}`
}

/** The kind of a row. `fixed` is `free` at a number; a saved threshold counts as adaptive, since evidence chose it. */
export function rowKind(row: EvaluationResult): RowKind {
  switch (row.policy) {
    case 'free':
      return typeof row.threshold === 'number' ? 'fixed' : 'adaptive'
    case 'full':
    case 'static':
    case 'lossless':
    case 'rollback':
    case 'calm':
      return row.policy
    default:
      return 'other'
  }
}

/** Names of all metrics of some rows, in the order in which they first occur. */
export function metricsOf(rows: readonly EvaluationResult[]): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row.quality)))]
}

/** A metric's name as people write it. */
export function metricTitle(metric: string): string {
  return METRIC_NAMES[metric] ?? metric
}

/** A row's score in a metric; null where it has none. */
export function scoreOf(row: EvaluationResult, metric: string | undefined): number | null {
  return (metric === undefined ? undefined : row.quality[metric]?.score) ?? null
}

/** Whether two rows are of the same setting: `bestFixed` is a copy of one of the `rows`. */
export function isSameSetting(a: EvaluationResult, b: EvaluationResult | null | undefined): boolean {
  return !!b && a.policy === b.policy && a.threshold === b.threshold && a.label === b.label
}

/** The row of `full`, which the others are compared with. */
export function fullRow(rows: readonly EvaluationResult[]): EvaluationResult | undefined {
  return rows.find((row) => row.policy === 'full')
}

/** What {@link BEST_FIXED_MARK} means. */
export function bestFixedNote(rows: readonly EvaluationResult[]): string {
  const metric = metricsOf(rows)[0]
  const quality = metric === undefined ? 'quality' : metricTitle(metric)
  return `${BEST_FIXED_MARK} the fastest fixed threshold that keeps ${formatShare(QUALITY_FLOOR, 0)} of full's ${quality}`
}

/** Throws `report.no-rows` where there is nothing to report. */
export function requireRows(rows: readonly EvaluationResult[]): void {
  if (rows.length > 0) return
  throw new ShallowDeepError({
    code: 'report.no-rows',
    message: 'a report needs at least one row of results, got none',
    hint: 'give the JSON that `evaluate --json` or `ablate thresholds --json` printed',
  })
}

/**
 * Where, on what and how the rows were measured: `250 examples; tfjs on wasm, float32, 1 thread`, and then how tokens were
 * taken, that the precision makes `lossless` approximate, and what a profit rule chose, where that is to be said.
 */
export function describeSetup(row: EvaluationResult): string {
  const engine = row.backend === null ? row.engine : `${row.engine} on ${row.backend}`
  const threads = row.threads === null ? [] : [formatCount(row.threads, 'thread')]
  return [
    formatCount(row.examples, 'example'),
    [engine, row.dtype, ...threads].join(', '),
    ...(row.selection ? [describeSelection(row.selection)] : []),
    ...(row.isApproximate ? [`lossless is approximate in ${row.dtype}`] : []),
    ...(row.profit
      ? [`profit rule: full for ${row.profit.full} of ${row.profit.full + row.profit.early}`]
      : []),
  ].join('; ')
}

/** `temperature 0.7, topP 0.9, seed 3`: what is off is left out. */
function describeSelection(selection: NonNullable<EvaluationResult['selection']>): string {
  return Object.entries(selection)
    .filter(([, value]) => value !== null && value !== false)
    .map(([name, value]) => (value === true ? name : `${name} ${value}`))
    .join(', ')
}
