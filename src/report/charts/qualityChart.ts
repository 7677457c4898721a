// Quality against speed: fixed thresholds as a line, every other setting as a mark of its own, and the quality that a
// setting is asked to keep.
import type { EvaluationResult } from '../../evaluation/index.js'
import { formatNumber, formatShare, formatThreshold, formatTimes } from '../format.js'
import { KIND_COLOURS } from '../palette.js'
import type { ReportedResults, RowKind } from '../resultRow.js'
import {
  fullRow,
  isSameSetting,
  metricsOf,
  metricTitle,
  QUALITY_FLOOR,
  requireRows,
  rowKind,
  rowLabel,
  scoreOf,
} from '../resultRow.js'
import type { LabelRequest } from './labelPlacement.js'
import { placeLabels } from './labelPlacement.js'
import type { ChartOptions, ChartSpec } from './vegaSvg.js'
import { LABEL_SIZE, labelLayers, nominal, quantitative, renderChart } from './vegaSvg.js'

const WIDTH = 620
const HEIGHT = 340
const MARK_RADIUS = 7

const SHAPES: Readonly<Record<RowKind, string>> = {
  full: 'cross',
  static: 'square',
  fixed: 'circle',
  adaptive: 'triangle-up',
  lossless: 'diamond',
  rollback: 'triangle-right',
  calm: 'triangle-down',
  other: 'triangle-left',
}

/** How to draw quality against speed. */
export interface QualityChartOptions extends ChartOptions {
  /** Default the first of the rows'. */
  readonly metric?: string
  /** Default `speedup` where every row has one, else `ms`: median ms per token, faster to the right. */
  readonly against?: 'speedup' | 'ms'
  /**
   * Draws confidence intervals; default false. All policies decode the same examples, so their differences are surer
   * than the intervals of each look, which on small data also hide everything else.
   */
  readonly intervals?: boolean
}

interface Mark {
  readonly row: EvaluationResult
  readonly kind: RowKind
  readonly speed: number
  readonly quality: number
}

/** The chart as SVG; rows without a score are left out. Throws `report.no-rows` where none is left. */
export async function qualityChart(
  results: ReportedResults,
  options: QualityChartOptions = {},
): Promise<string> {
  const { rows } = results
  const metric = options.metric ?? metricsOf(rows)[0]
  const against = options.against ?? (rows.every(({ speedup }) => speedup !== null) ? 'speedup' : 'ms')
  const marks = rows.flatMap((row): Mark[] => {
    const quality = scoreOf(row, metric)
    const speed = against === 'speedup' ? row.speedup : row.latency.msPerTokenP50
    return quality === null || speed === null ? [] : [{ row, kind: rowKind(row), speed, quality }]
  })
  requireRows(marks.map(({ row }) => row))
  const name = metricTitle(metric)
  const words = {
    id: 'quality',
    title: `${name} against ${against === 'speedup' ? 'speed-up' : 'ms per token'}`,
    description: marks
      .map(({ row, speed, quality }) => {
        const shown = against === 'speedup' ? formatTimes(speed) : `${formatNumber(speed, 2)} ms per token`
        return `${rowLabel(row)}: ${name} ${formatNumber(quality, 2)} at ${shown}`
      })
      .join('; '),
  }
  return renderChart(
    specify(marks, { results, name, metric, against, hasIntervals: options.intervals ?? false }),
    words,
    options,
  )
}

function specify(
  marks: readonly Mark[],
  {
    results,
    name,
    metric,
    against,
    hasIntervals,
  }: {
    readonly results: ReportedResults
    readonly name: string
    readonly metric: string
    readonly against: 'speedup' | 'ms'
    readonly hasIntervals: boolean
  },
): ChartSpec {
  const full = fullRow(results.rows)
  const fullScore = full && scoreOf(full, metric)
  const floor = fullScore === null || fullScore === undefined ? null : fullScore * QUALITY_FLOOR
  const intervals = marks.flatMap(({ row, kind, speed }) => {
    const { low, high } = row.quality[metric]
    return !hasIntervals || low === null || high === null ? [] : [{ speed, low, high, kind }]
  })
  const heights = [
    ...marks.map(({ quality }) => quality),
    ...intervals.flatMap(({ low, high }) => [low, high]),
  ]
  const yDomain = padDomain(floor === null ? heights : [...heights, floor], 0.1)
  const xDomain = padDomain(
    marks.map(({ speed }) => speed),
    0.07,
  )
  if (against === 'ms') xDomain.reverse()
  const toX = (speed: number) => ((speed - xDomain[0]) / (xDomain[1] - xDomain[0])) * WIDTH
  const toY = (quality: number) => (1 - (quality - yDomain[0]) / (yDomain[1] - yDomain[0])) * HEIGHT
  const fromX = (x: number) => xDomain[0] + (x / WIDTH) * (xDomain[1] - xDomain[0])
  const fromY = (y: number) => yDomain[0] + (1 - y / HEIGHT) * (yDomain[1] - yDomain[0])

  const lines = lineGroups(marks)
  const toPoint = ({ speed, quality }: { speed: number; quality: number }) => ({
    x: toX(speed),
    y: toY(quality),
  })
  const floorLine =
    floor === null
      ? []
      : [
          [
            { x: 0, y: toY(floor) },
            { x: WIDTH, y: toY(floor) },
          ],
        ]
  const intervalLines = intervals.map(({ speed, low, high }) =>
    [low, high].map((quality) => toPoint({ speed, quality })),
  )
  const labels = placeLabels(labelRequests(marks, { results, lines, toPoint, floor }), {
    width: WIDTH,
    height: HEIGHT,
    fontSize: LABEL_SIZE,
    marks: marks.map(toPoint),
    markRadius: MARK_RADIUS,
    lines: [...lines.map((line) => line.map(toPoint)), ...intervalLines, ...floorLine],
  })

  const color = nominal('kind', KIND_COLOURS)
  const x = quantitative('speed', xDomain, {
    axis: {
      title:
        against === 'speedup'
          ? 'speed-up over full (×)'
          : 'decoding time (ms per token, median), faster to the right',
      tickCount: 8,
    },
  })
  const y = quantitative('quality', yDomain, { axis: { title: name, tickCount: 6 } })
  return {
    width: WIDTH,
    height: HEIGHT,
    layer: [
      {
        data: { values: floor === null ? [] : [{ quality: floor }] },
        mark: { type: 'rule', strokeDash: [5, 4], opacity: 0.6 },
        encoding: { y },
      },
      {
        data: { values: intervals },
        mark: { type: 'rule', strokeWidth: 1.5, opacity: 0.6 },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
      },
      {
        data: {
          values: lines.flatMap((line, group) =>
            line.map(({ speed, quality, kind }, order) => ({ speed, quality, kind, group, order })),
          ),
        },
        mark: { type: 'line', strokeWidth: 2, opacity: 0.75 },
        encoding: {
          x,
          y,
          color,
          detail: { field: 'group' },
          order: { field: 'order', type: 'quantitative' },
        },
      },
      {
        data: { values: marks.map(({ speed, quality, kind }) => ({ speed, quality, kind })) },
        mark: { type: 'point', filled: true, opacity: 1 },
        encoding: {
          x,
          y,
          color,
          shape: nominal('kind', SHAPES),
          size: { condition: { test: "datum.kind === 'fixed'", value: 70 }, value: 150 },
        },
      },
      ...labelLayers(labels, { x, y, fromX, fromY }),
    ],
  }
}

/** Rows of one policy at two or more thresholds, each group in order of the threshold. */
function lineGroups(marks: readonly Mark[]): Mark[][] {
  const groups = new Map<string, Mark[]>()
  for (const mark of marks.filter(({ row }) => typeof row.threshold === 'number')) {
    const group = groups.get(mark.row.policy)
    if (group) group.push(mark)
    else groups.set(mark.row.policy, [mark])
  }
  return [...groups.values()]
    .filter((group) => group.length > 1)
    .map((group) => group.toSorted((a, b) => Number(a.row.threshold) - Number(b.row.threshold)))
}

/** First what must be named, then the thresholds along lines, which may do without. */
function labelRequests(
  marks: readonly Mark[],
  {
    results,
    lines,
    toPoint,
    floor,
  }: {
    readonly results: ReportedResults
    readonly lines: readonly (readonly Mark[])[]
    readonly toPoint: (mark: { speed: number; quality: number }) => { x: number; y: number }
    readonly floor: number | null
  },
): LabelRequest[] {
  const isBest = ({ row }: Mark) => isSameSetting(row, results.bestFixed)
  const onLines = lines.flat()
  // Each line is named at one of its points, at the others the threshold alone will do.
  const nameBearers = lines.map((line) => line.find(isBest) ?? line[0])
  const named = marks
    .filter((mark) => !onLines.includes(mark) || nameBearers.includes(mark))
    .map((mark) => ({ text: nameOf(mark.row) + (isBest(mark) ? ' (best fixed)' : ''), ...toPoint(mark) }))
  const thresholds = onLines
    .filter((mark) => !nameBearers.includes(mark))
    .map((mark) => ({
      text: formatThreshold(Number(mark.row.threshold)),
      ...toPoint(mark),
      isOptional: true,
    }))
  const floorLabel =
    floor === null
      ? []
      : [
          {
            text: `${formatShare(QUALITY_FLOOR, 0)} of full`,
            x: 0,
            y: toPoint({ speed: 0, quality: floor }).y,
          },
        ]
  return [...named, ...floorLabel, ...thresholds]
}

function nameOf(row: EvaluationResult): string {
  return row.thresholdAtEnd === undefined
    ? rowLabel(row)
    : `${rowLabel(row)} (${formatThreshold(row.thresholdAtEnd)})`
}

/** The values' range, wider by a share of it on both sides; never empty. */
function padDomain(values: readonly number[], share: number): [number, number] {
  const low = Math.min(...values)
  const high = Math.max(...values)
  const padding = (high - low) * share || Math.max(0.5, Math.abs(high) * share)
  return [low - padding, high + padding]
}
