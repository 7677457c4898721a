// Draws a Vega-Lite specification as an SVG text, without DOM or canvas, and gives it the look that all charts share.
// Vega is imported when the first chart is drawn: it is heavy, and most commands draw none.
import type { Config, TopLevelSpec } from 'vega-lite'
import { ShallowDeepError } from '../../errors.js'
import { replaceForbidden } from '../escape.js'
import type { PlacedLabel } from './labelPlacement.js'
import type { SvgTheme, SvgWords } from '../svgDocument.js'
import { SVG_FONT, svgDocument } from '../svgDocument.js'

/** How to draw a chart. */
export interface ChartOptions {
  /** Default `auto`: a file of its own that follows the reader's scheme. */
  readonly theme?: SvgTheme
}

/** A chart's specification; {@link renderChart} adds the look. */
export type ChartSpec = TopLevelSpec

/** Font size of labels inside charts, in pixels. */
export const LABEL_SIZE = 12.5

const look: Config = {
  background: 'transparent',
  font: SVG_FONT,
  padding: { left: 4, right: 14, top: 8, bottom: 4 },
  view: { stroke: null },
  axis: {
    labelColor: 'currentColor',
    titleColor: 'currentColor',
    tickColor: 'currentColor',
    domainColor: 'currentColor',
    gridColor: 'currentColor',
    gridOpacity: 0.13,
    domainOpacity: 0.5,
    tickOpacity: 0.5,
    labelOpacity: 0.85,
    labelFontSize: 12,
    titleFontSize: 13,
    titleFontWeight: 600,
    titlePadding: 10,
    labelPadding: 5,
    labelFlush: false,
  },
  title: {
    color: 'currentColor',
    subtitleColor: 'currentColor',
    fontSize: 13,
    subtitleFontSize: 12,
    fontWeight: 600,
    anchor: 'start',
    offset: 8,
    subtitlePadding: 4,
  },
  text: { color: 'currentColor', fontSize: LABEL_SIZE, baseline: 'middle' },
  rule: { color: 'currentColor' },
}

/** A quantitative channel over a domain that is kept as it is. */
export function quantitative(
  field: string,
  domain: readonly [number, number],
  options: { readonly axis: object; readonly scale?: 'linear' | 'sqrt' },
) {
  const { axis, scale = 'linear' } = options
  return {
    field,
    type: 'quantitative' as const,
    scale: { type: scale, domain: [...domain], nice: false, zero: false },
    axis,
  }
}

/** A channel of names, each with a colour or shape, without a legend: marks are named where they are. */
export function nominal(field: string, range: Readonly<Record<string, string>>) {
  return {
    field,
    type: 'nominal' as const,
    scale: { domain: Object.keys(range), range: Object.values(range) },
    legend: null,
  }
}

/** Layers of placed labels and the lines to their marks. `fromX` and `fromY` turn pixels of the plot into data. */
export function labelLayers<C extends { readonly field: string }>(
  labels: readonly PlacedLabel[],
  {
    x,
    y,
    fromX,
    fromY,
  }: {
    readonly x: C
    readonly y: C
    readonly fromX: (pixels: number) => number
    readonly fromY: (pixels: number) => number
  },
) {
  const leaders = labels.flatMap((label) =>
    label.leader
      ? [
          {
            [x.field]: fromX(label.leader.from.x),
            [y.field]: fromY(label.leader.from.y),
            endX: fromX(label.leader.to.x),
            endY: fromY(label.leader.to.y),
          },
        ]
      : [],
  )
  const texts = (align: PlacedLabel['align']) =>
    labels
      .filter((label) => label.align === align)
      .map((label) => ({ text: label.text, [x.field]: fromX(label.x), [y.field]: fromY(label.y) }))
  return [
    {
      data: { values: leaders },
      mark: { type: 'rule' as const, strokeWidth: 0.75, opacity: 0.6 },
      encoding: { x, y, x2: { field: 'endX' }, y2: { field: 'endY' } },
    },
    ...(['left', 'center', 'right'] as const).map((align) => ({
      data: { values: texts(align) },
      mark: { type: 'text' as const, align },
      encoding: { x, y, text: { field: 'text' } },
    })),
  ]
}

/** The chart as an SVG document; equal specifications give equal texts. Throws `report.not-svg` if Vega has changed. */
export async function renderChart(
  spec: ChartSpec,
  words: SvgWords & {
    /** Part of the names inside the drawing, so that two charts in one page do not clash. */
    readonly id: string
  },
  { theme = 'auto' }: ChartOptions,
): Promise<string> {
  const [{ parse, View }, { compile }] = await Promise.all([import('vega'), import('vega-lite')])
  const compiled = compile({ ...spec, config: look }).spec
  const view = new View(parse(compiled), { renderer: 'none' })
  try {
    return wrap(await view.toSVG(), words, theme)
  } finally {
    view.finalize()
  }
}

function wrap(svg: string, words: SvgWords & { readonly id: string }, theme: SvgTheme): string {
  const root = /^<svg [^>]*?width="([\d.]+)" height="([\d.]+)"[^>]*>(.*)<\/svg>$/s.exec(svg)
  if (!root) {
    throw new ShallowDeepError({
      code: 'report.not-svg',
      message: `expected one SVG element from Vega, got ${svg.slice(0, 60)}`,
      kind: 'failure',
    })
  }
  // Vega numbers its clip paths through the whole process.
  const names = new Map<string, string>()
  const drawing = root[3].replace(/\bclip\d+\b/g, (name) => {
    if (!names.has(name)) names.set(name, `${words.id}-clip${names.size + 1}`)
    return names.get(name) ?? name
  })
  // Its parts name themselves to screen readers one by one; the picture's description says it better.
  const silent = drawing.replace(/<[^>]*>/g, (tag) => tag.replace(/ (role|aria-[a-z]+)="[^"]*"/g, ''))
  return svgDocument(replaceForbidden(silent), {
    width: Math.ceil(Number(root[1])),
    height: Math.ceil(Number(root[2])),
    theme,
    words,
  })
}
