// What a threshold does to the work: share of shallow exits and layer passes against it.
import type { EvaluationResult } from '../../evaluation/index.js'
import { ShallowDeepError } from '../../errors.js'
import { formatShare, formatThreshold } from '../format.js'
import { EXIT_COLOURS } from '../palette.js'
import type { ReportedResults } from '../resultRow.js'
import { rowKind } from '../resultRow.js'
import { placeLabels } from './labelPlacement.js'
import type { ChartOptions, ChartSpec } from './vegaSvg.js'
import { LABEL_SIZE, labelLayers, nominal, quantitative, renderChart } from './vegaSvg.js'

const WIDTH = 620
const HEIGHT = 260

const SERIES = [
  {
    key: 'shallowShare',
    label: 'shallow exits (% of tokens)',
    colour: EXIT_COLOURS.shallow,
    shape: 'circle',
  },
  { key: 'layerPasses', label: "layers run (% of full's)", colour: EXIT_COLOURS.deep, shape: 'square' },
] as const

/** Rows of `free` at fixed thresholds, in order of the threshold. */
export function fixedThresholdRows(rows: readonly EvaluationResult[]): EvaluationResult[] {
  return rows
    .filter((row) => rowKind(row) === 'fixed')
    .toSorted((a, b) => Number(a.threshold) - Number(b.threshold))
}

/** The chart as SVG. Throws `report.too-few-thresholds` below two fixed thresholds. */
export async function thresholdChart({ rows }: ReportedResults, options: ChartOptions = {}): Promise<string> {
  const fixed = fixedThresholdRows(rows)
  if (fixed.length < 2) {
    throw new ShallowDeepError({
      code: 'report.too-few-thresholds',
      message: `a chart over thresholds needs \`free\` at two fixed ones or more, got ${fixed.length}`,
      hint: 'measure more of them with `ablate thresholds`',
    })
  }
  const words = {
    id: 'threshold',
    title: 'Shallow exits and layer passes against the threshold',
    description: fixed
      .map(({ threshold, exits }) => {
        const [share, passes] = [formatShare(exits.shallowShare), formatShare(exits.layerPasses)]
        return `threshold ${formatThreshold(Number(threshold))}: ${share} shallow exits, ${passes} of full's layers`
      })
      .join('; '),
  }
  const adaptive = rows.find((row) => rowKind(row) === 'adaptive' && row.thresholdAtEnd !== undefined)
  return renderChart(specify(fixed, adaptive), words, options)
}

function specify(fixed: readonly EvaluationResult[], adaptive: EvaluationResult | undefined): ChartSpec {
  const points = SERIES.map(({ key }) =>
    fixed.map(({ threshold, exits }) => ({ key, threshold: Number(threshold), share: exits[key] })),
  )
  const top = Math.max(1, ...points.flat().map(({ share }) => share)) * 1.12
  const toX = (threshold: number) => threshold * WIDTH
  const toY = (share: number) => (1 - share / top) * HEIGHT
  const ruleAt = adaptive?.thresholdAtEnd
  const rule = ruleAt === undefined ? [] : [{ threshold: ruleAt }]

  const lines = points.map((line) =>
    line.map(({ threshold, share }) => ({ x: toX(threshold), y: toY(share) })),
  )
  const ruleLines = rule.map(({ threshold }) => [
    { x: toX(threshold), y: 0 },
    { x: toX(threshold), y: HEIGHT },
  ])
  // A line is named at the point where the other one is furthest away.
  const gaps = fixed.map(({ exits }) => Math.abs(exits.shallowShare - exits.layerPasses))
  const widest = gaps.indexOf(Math.max(...gaps))
  const requests = [
    ...SERIES.map(({ label }, i) => ({ text: label, ...lines[i][widest] })),
    ...rule.map(({ threshold }) => ({
      text: `adaptive ended at ${formatThreshold(threshold)}`,
      x: toX(threshold),
      y: toY(0.08),
    })),
  ]
  const labels = placeLabels(requests, {
    width: WIDTH,
    height: HEIGHT,
    fontSize: LABEL_SIZE,
    marks: lines.flat(),
    markRadius: 6,
    lines: [...lines, ...ruleLines],
  })

  const x = quantitative('threshold', [0, 1], {
    axis: { title: 'threshold (exit shallow above it)', tickCount: 10, format: '.1f' },
  })
  const y = quantitative('share', [0, top], {
    axis: { title: 'share (%)', tickCount: 5, labelExpr: 'round(datum.value * 100)' },
  })
  const color = nominal('key', Object.fromEntries(SERIES.map(({ key, colour }) => [key, colour])))
  const shape = nominal('key', Object.fromEntries(SERIES.map((series) => [series.key, series.shape])))
  return {
    width: WIDTH,
    height: HEIGHT,
    layer: [
      { data: { values: rule }, mark: { type: 'rule', strokeDash: [5, 4], opacity: 0.7 }, encoding: { x } },
      {
        data: { values: points.flat() },
        mark: { type: 'line', strokeWidth: 2 },
        encoding: { x, y, color },
      },
      {
        data: { values: points.flat() },
        mark: { type: 'point', filled: true, size: 70, opacity: 1 },
        encoding: { x, y, color, shape },
      },
      ...labelLayers(labels, { x, y, fromX: (px) => px / WIDTH, fromY: (px) => (1 - px / HEIGHT) * top }),
    ],
  }
}
