// Results in sentences, each with its numbers: what a reader wants to know before the table. What was not measured is not
// mentioned.
import type { EvaluationResult, EvidenceSummary } from '../evaluation/index.js'
import { formatCount, formatMs, formatNumber, formatShare, formatThreshold, formatTimes } from './format.js'
import type { ReportedResults } from './resultRow.js'
import { fullRow, metricsOf, metricTitle, QUALITY_FLOOR, rowKind, scoreOf } from './resultRow.js'

/** What the rows show, a sentence each: full, static, the best fixed threshold, the adaptive one, lossless. */
export function describeFindings(results: ReportedResults): string[] {
  const { rows, bestFixed } = results
  const metric = metricsOf(rows)[0]
  const full = fullRow(rows)
  const compare = (row: EvaluationResult) => compareWithFull(row, full, metric)
  const sentences: string[] = []
  if (full) sentences.push(describeFull(full, metric))
  for (const row of rows.filter((candidate) => rowKind(candidate) === 'static')) {
    sentences.push(`Always leaving at the shallow exit ${compare(row)}.`)
  }
  if (bestFixed) {
    sentences.push(`The best fixed threshold, ${nameThreshold(bestFixed)}, ${compare(bestFixed)}.`)
  } else if (bestFixed === null && rows.some((row) => rowKind(row) === 'fixed')) {
    sentences.push(`No fixed threshold that was measured keeps ${formatShare(QUALITY_FLOOR, 0)} of it.`)
  }
  for (const row of rows.filter((candidate) => rowKind(candidate) === 'adaptive')) {
    const end = row.thresholdAtEnd === undefined ? '' : ` (${formatThreshold(row.thresholdAtEnd)} at the end)`
    sentences.push(`The ${row.threshold} threshold${end} ${compare(row)}${besideBestFixed(row, bestFixed)}.`)
  }
  for (const row of rows.filter((candidate) => rowKind(candidate) === 'lossless')) {
    sentences.push(`Lossless decoding${named(row)} ${compare(row)}.`)
  }
  return sentences
}

function describeFull(full: EvaluationResult, metric: string | undefined): string {
  const layers = full.decoderLayers === undefined ? 'all layers' : `all ${full.decoderLayers} layers`
  const score = scoreOf(full, metric)
  const scored =
    metric === undefined || score === null
      ? ''
      : ` and scores ${formatNumber(score, 2)} ${metricTitle(metric)}`
  return `Full decoding, ${layers} for every token, takes ${formatMs(full.latency.msPerTokenP50)} ms per token (median)${scored}.`
}

/** `is 2.23× as fast as full and keeps 99.0% of its BLEU`, as far as that was measured. */
function compareWithFull(
  row: EvaluationResult,
  full: EvaluationResult | undefined,
  metric: string | undefined,
): string {
  const speed =
    row.speedup === null
      ? `takes ${formatMs(row.latency.msPerTokenP50)} ms per token`
      : `is ${formatTimes(row.speedup)} as fast as full`
  const score = scoreOf(row, metric)
  const fullScore = full ? scoreOf(full, metric) : null
  if (metric === undefined || score === null) return speed
  const name = metricTitle(metric)
  return fullScore
    ? `${speed} and keeps ${formatShare(score / fullScore)} of its ${name}`
    : `${speed} and scores ${formatNumber(score, 2)} ${name}`
}

function besideBestFixed(row: EvaluationResult, bestFixed: EvaluationResult | null | undefined): string {
  if (!bestFixed?.speedup || row.speedup === null) return ''
  return `, at ${formatShare(row.speedup / bestFixed.speedup, 0)} of the best fixed one's speed`
}

function named(row: EvaluationResult): string {
  return row.threshold === null ? '' : `, threshold ${nameThreshold(row)},`
}

function nameThreshold({ threshold }: EvaluationResult): string {
  return typeof threshold === 'number' ? formatThreshold(threshold) : String(threshold)
}

/** What each branch of the calibrator means; the calibrator's own message has the numbers. */
const BRANCHES: Readonly<Record<string, string>> = {
  'calibration.no-evidence': 'Nothing was seen yet, so the initial threshold stands.',
  'calibration.too-little-evidence':
    'Too little was seen to decide anything, so the initial threshold stands.',
  'calibration.everything-agrees':
    'The exits always agreed, so the lowest threshold that is allowed was taken.',
  'calibration.nothing-agrees': 'The exits never agreed, so no token exits shallow.',
  'calibration.zero-variance':
    'The confidences hardly vary and say nothing about agreement; the labels alone decide.',
  'calibration.component-without-mass':
    'No mixture could be fitted, one of its two parts has no points; the labels alone decide.',
  'calibration.never-confident':
    'Even where the shallow exit is most confident, agreement is too unlikely; no token exits shallow.',
  'calibration.fitted':
    'Two Beta distributions, one of agreeing and one of disagreeing positions, were fitted to the confidences; the threshold is where agreement becomes likely enough.',
  'calibration.fixed': 'The threshold was given and does not move.',
}

/** A calibration in words: what was seen, which branch decided, what the labels say, and the calibrator's own message. */
export function describeCalibration({
  threshold,
  evidenceCount,
  agreement,
  diagnostics,
}: EvidenceSummary): string[] {
  const { code, message, labelCheck, proposedThreshold } = diagnostics
  const fitted = formatThreshold(diagnostics.threshold)
  const seen =
    agreement === null
      ? 'No flushed position was seen.'
      : `${formatCount(evidenceCount, 'flushed position')} seen; at ${formatShare(agreement)} of them the shallow and the deep exit chose the same token.`
  const sentences = [seen]
  if (BRANCHES[code]) sentences.push(BRANCHES[code])
  if (labelCheck) {
    const { evidenceCount: above, agreement: agreementAbove } = labelCheck
    const share = `of ${formatCount(above, 'position')} above it, ${formatShare(agreementAbove)} agree`
    sentences.push(
      {
        'calibration.labels-kept': `The labels confirm the threshold: ${share}.`,
        'calibration.labels-raised': `The labels raised the threshold from ${formatThreshold(proposedThreshold)} to ${fitted}: ${share}.`,
        'calibration.labels-refused': 'The labels refuse every threshold below 1, so no token exits shallow.',
      }[labelCheck.code],
    )
  }
  if (formatThreshold(threshold) !== fitted) {
    sentences.push(
      `That fit is over all of it, threshold ${fitted}; while decoding, the threshold moved and ended at ${formatThreshold(threshold)}.`,
    )
  }
  sentences.push(`The calibrator says: ${message} (${code}).`)
  return sentences
}
