// Confidences of the shallow exit, apart for positions at which both exits agree and at which they do not, with the fitted
// Beta densities on the scale of the counts and the threshold.
import type { EvidenceSummary } from '../../evaluation/index.js'
import { formatCount, formatNumber, formatThreshold } from '../format.js'
import { EXIT_COLOURS } from '../palette.js'
import type { ChartOptions, ChartSpec } from './vegaSvg.js'
import { LABEL_SIZE, quantitative, renderChart } from './vegaSvg.js'

const WIDTH = 620
// Room for the axis title, whose width is not known without a font and is taken as 0.8 em a letter.
const PANEL_HEIGHT = 170

const PANELS = [
  { label: 'agree', component: 1, words: 'Shallow and deep agree', colour: EXIT_COLOURS.shallow },
  { label: 'disagree', component: 0, words: 'Shallow and deep disagree', colour: EXIT_COLOURS.deep },
] as const

type Panel = (typeof PANELS)[number]
type PanelSpec = Extract<ChartSpec, { vconcat: unknown }>['vconcat'][number]
type LayerSpec = Extract<PanelSpec, { layer: unknown }>['layer'][number]

/** The chart as SVG, two panels with scales of their own. A saved calibration is such a summary. */
export async function confidenceChart(
  evidence: EvidenceSummary,
  options: ChartOptions = {},
): Promise<string> {
  const { agree, disagree } = evidence.histogram
  const words = {
    id: 'confidence',
    title: 'Confidence of the shallow exit',
    description:
      `Histograms of the confidence of ${formatCount(sum(agree), 'position')} at which the exits agree and ` +
      `${formatCount(sum(disagree), 'position')} at which they do not; threshold ${formatThreshold(evidence.threshold)}`,
  }
  const spec: ChartSpec = {
    spacing: 14,
    vconcat: PANELS.map((panel) => specifyPanel(panel, evidence)),
  }
  return renderChart(spec, words, options)
}

function specifyPanel(
  panel: Panel,
  { histogram, densities, diagnostics, threshold }: EvidenceSummary,
): PanelSpec {
  const counts = histogram[panel.label]
  const numBins = counts.length
  const numPoints = sum(histogram.agree) + sum(histogram.disagree)
  const bars = counts.map((count, i) => ({ from: i / numBins, to: (i + 1) / numBins, count }))
  const curve = densities
    ? densities.confidence.map((confidence, i) => ({
        from: confidence,
        // What the fit expects in a bin of this width around here.
        count: (densities[panel.label][i] * densities.weight[panel.component] * numPoints) / numBins,
      }))
    : []
  const top = Math.max(1, ...counts) * 1.12
  const { mixture } = diagnostics
  const fit = mixture
    ? `line: fitted Beta(${formatNumber(mixture.alpha[panel.component], 2)}, ${formatNumber(mixture.beta[panel.component], 2)})`
    : 'no mixture fitted'
  const isLast = panel.label === 'disagree'

  const x = quantitative('from', [0, 1], {
    axis: {
      title: isLast ? 'confidence of the shallow exit' : null,
      tickCount: 10,
      grid: false,
      labels: isLast,
      ticks: isLast,
      format: '.1f',
    },
  })
  const y = quantitative('count', [0, top], {
    scale: 'sqrt',
    axis: { title: 'positions (√ scale)', tickCount: 4, format: ',d', minExtent: 42 },
  })
  return {
    width: WIDTH,
    height: PANEL_HEIGHT,
    title: { text: `${panel.words}: ${formatCount(sum(counts), 'position')}`, subtitle: fit },
    layer: [
      {
        data: { values: [{ from: threshold, to: 1 }] },
        mark: { type: 'rect', color: 'currentColor', opacity: 0.06 },
        encoding: { x, x2: { field: 'to' } },
      },
      {
        data: { values: bars },
        mark: {
          type: 'rect',
          color: panel.colour,
          opacity: 0.55,
          stroke: panel.colour,
          strokeWidth: 0.5,
        },
        encoding: { x, x2: { field: 'to' }, y, y2: { datum: 0 } },
      },
      {
        data: { values: curve },
        mark: { type: 'line', color: panel.colour, strokeWidth: 2.5, clip: true },
        encoding: { x, y },
      },
      {
        data: { values: [{ from: threshold }] },
        mark: { type: 'rule', strokeWidth: 1.5 },
        encoding: { x },
      },
      ...(isLast ? [] : [thresholdLabel(threshold, x)]),
    ],
  }
}

/** Beside the rule, on the side with more room. */
function thresholdLabel(threshold: number, x: ReturnType<typeof quantitative>): LayerSpec {
  const isLeft = threshold > 0.5
  const text =
    threshold >= 1
      ? 'threshold 1: never exits shallow'
      : `threshold ${formatThreshold(threshold)}, above it exits shallow →`
  return {
    // The bars at the right end are the tallest.
    data: { values: [{ from: Math.min(threshold, 0.94), text }] },
    mark: {
      type: 'text',
      align: isLeft ? 'right' : 'left',
      dx: isLeft ? -8 : 8,
      y: LABEL_SIZE,
      fontWeight: 600,
    },
    encoding: { x, text: { field: 'text' } },
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
