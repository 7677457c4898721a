// Charts as SVG: well-formed, complete, the same each time, and true to the numbers.
import assert from 'node:assert/strict'
import type { EvaluationResult } from '../../src/evaluation/index.js'
import { confidenceChart, qualityChart, thresholdChart } from '../../src/report/index.js'
import type { SvgTheme } from '../../src/report/index.js'
import { estimateTextWidth } from '../../src/report/textExtent.js'
import { svgDocument } from '../../src/report/svgDocument.js'
import { emptyRow, HOSTILE_TEXTS, LEAKED_VALUES, sampleAblation, sampleAdaptive } from './samples.js'
import { readXml, textsOf } from './xml.js'

/** Places of the marks of a symbol layer, in order. */
function symbolPlaces(svg: string): { x: number; y: number }[] {
  return readXml(svg)
    .filter(({ name, attributes }) => name === 'path' && /^translate\(.*\)/.test(attributes.transform ?? ''))
    .map(({ attributes }) => {
      const [, x, y] = /^translate\(([-\d.]+),([-\d.]+)\)/.exec(attributes.transform) ?? []
      return { x: Number(x), y: Number(y) }
    })
}

const drawings = {
  quality: () => qualityChart(sampleAblation()),
  confidence: () => confidenceChart(sampleAdaptive().evidence),
  threshold: () => thresholdChart(sampleAblation()),
}

for (const [name, draw] of Object.entries(drawings)) {
  describe(`chart: ${name}`, () => {
    let svg: string
    before(async () => {
      svg = await draw()
    })

    it('is well-formed, named, loads nothing, and leaks no value that is none', () => {
      const [root, title, description] = readXml(svg)
      assert.equal(root.name, 'svg')
      assert.equal(root.attributes.role, 'img')
      assert.equal(title.name, 'title')
      assert.ok(root.attributes['aria-label'].length > 5 && description.text.length > 20)
      assert.doesNotMatch(svg, LEAKED_VALUES)
      assert.doesNotMatch(svg.replace('http://www.w3.org/2000/svg', ''), /https?:|<script|<image|xlink/)
    })

    it('is the same text each time', async () => {
      assert.equal(await draw(), svg)
    })
  })
}

describe('chart of quality against speed', () => {
  it('has an axis with units, the floor, and a label for each setting that is no threshold on a line', async () => {
    const texts = textsOf(readXml(await qualityChart(sampleAblation())), 'text')
    const expected = ['speed-up over full (×)', 'BLEU', '99% of full', 'full', 'static', 'lossless 0.5']
    for (const text of [...expected, 'free adaptive (0.56)', 'free 0.5 (best fixed)', '0.1', '0.9']) {
      assert.ok(texts.includes(text), text)
    }
  })

  it('places faster settings further right and better ones higher', async () => {
    const { rows } = sampleAblation()
    const places = symbolPlaces(await qualityChart({ rows }))
    assert.equal(places.length, rows.length)
    for (const [i, a] of rows.entries()) {
      for (const [k, b] of rows.entries()) {
        if (Number(a.speedup) > Number(b.speedup)) assert.ok(places[i].x > places[k].x)
        if (a.quality.bleu.score > b.quality.bleu.score) assert.ok(places[i].y < places[k].y)
      }
    }
  })

  it('labels stay inside the plot, and none covers another', async () => {
    const { rows, bestFixed } = sampleAblation()
    const close = rows
      .slice(2, 7)
      .flatMap((row) => [row, { ...row, threshold: Number(row.threshold) + 0.01 }])
    const labels = readXml(await qualityChart({ rows: [...rows, ...close], bestFixed }))
      .filter(({ name, attributes }) => name === 'text' && attributes['font-size'] === '12.5px')
      .map(({ text, attributes }) => {
        const [, x, y] = /^translate\(([-\d.]+),([-\d.]+)\)/.exec(attributes.transform) ?? []
        const width = estimateTextWidth(text, 12.5)
        const share = { start: 0, middle: 0.5, end: 1 }[attributes['text-anchor']] ?? 0
        return { text, left: Number(x) - share * width, right: Number(x) + (1 - share) * width, y: Number(y) }
      })
    assert.ok(labels.length >= 8)
    for (const [i, a] of labels.entries()) {
      assert.ok(a.left >= 0 && a.right <= 620 && a.y >= 0 && a.y <= 344, a.text)
      for (const b of labels.slice(i + 1)) {
        const isApart = a.right <= b.left || b.right <= a.left || Math.abs(a.y - b.y) >= 12.5
        assert.ok(isApart, `${a.text} and ${b.text}`)
      }
    }
  })

  it('shows ms per token where a speed-up is missing, faster still to the right', async () => {
    const rows = sampleAblation().rows.map((row) => ({ ...row, speedup: null }))
    const svg = await qualityChart({ rows })
    const places = symbolPlaces(svg)
    assert.ok(textsOf(readXml(svg), 'text').some((text) => text.includes('ms per token')))
    assert.ok(places[1].x > places[0].x)
  })

  it('draws a single row, and its interval when asked', async () => {
    const rows = [emptyRow({ quality: { bleu: { score: 20, low: 18, high: 22, signature: '' } } })]
    const bars = (svg: string) =>
      readXml(svg).filter(({ attributes }) => attributes['stroke-width'] === '1.5')
    const [plain, withInterval] = [
      await qualityChart({ rows }),
      await qualityChart({ rows }, { intervals: true }),
    ]
    assert.equal(bars(plain).length, 0)
    assert.equal(bars(withInterval).length, 1)
    assert.doesNotMatch(plain + withInterval, LEAKED_VALUES)
  })

  it('shows another metric when asked', async () => {
    const svg = await qualityChart(sampleAblation(), { metric: 'chrf' })
    assert.ok(textsOf(readXml(svg), 'text').includes('chrF'))
  })

  it('escapes labels', async () => {
    const rows: EvaluationResult[] = HOSTILE_TEXTS.map((label, i) => emptyRow({ label, speedup: 1 + i / 3 }))
    const texts = textsOf(readXml(await qualityChart({ rows })), 'text')
    assert.ok(texts.includes('<script>alert(1)</script>'))
  })

  it('refuses rows of which none has a score', async () => {
    await assert.rejects(qualityChart({ rows: [emptyRow({ quality: {} })] }), { code: 'report.no-rows' })
  })
})

describe('chart of confidences', () => {
  it('says how many positions agree, which densities were fitted, and where the threshold is', async () => {
    const { evidence } = sampleAdaptive()
    const texts = textsOf(readXml(await confidenceChart(evidence)), 'text')
    const count = (values: readonly number[]) => values.reduce((a, b) => a + b, 0).toLocaleString('en-US')
    assert.ok(texts.some((text) => text.includes(`agree: ${count(evidence.histogram.agree)} positions`)))
    assert.ok(
      texts.some((text) => text.includes(`disagree: ${count(evidence.histogram.disagree)} positions`)),
    )
    assert.ok(texts.some((text) => text.includes('Beta(1.68, 0.43)')))
    assert.ok(texts.some((text) => text.includes('threshold 0.56')))
    assert.ok(texts.includes('confidence of the shallow exit'))
  })

  it('draws evidence without a mixture, without points, and with a threshold of 1', async () => {
    const { evidence } = sampleAdaptive()
    const none = { agree: [0, 0], disagree: [0, 0] }
    const bare = { ...evidence, densities: null, diagnostics: { ...evidence.diagnostics, mixture: null } }
    const svg = await confidenceChart({ ...bare, histogram: none, threshold: 1, agreement: null })
    const texts = textsOf(readXml(svg), 'text')
    assert.ok(texts.includes('no mixture fitted'))
    assert.ok(texts.some((text) => text.includes('never exits shallow')))
    assert.doesNotMatch(svg, LEAKED_VALUES)
  })

  it('draws one bar a bin, and the densities on the scale of the counts', async () => {
    const { evidence } = sampleAdaptive()
    const elements = readXml(await confidenceChart(evidence))
    const bars = elements.filter(({ attributes }) => attributes['stroke-width'] === '0.5')
    assert.equal(bars.length, 2 * evidence.histogram.agree.length)
    const lines = elements.filter(({ attributes }) => attributes['stroke-width'] === '2.5')
    const tops = bars.map(({ attributes }) => Number(/^M[-\d.]+,([-\d.]+)h/.exec(attributes.d)?.[1]))
    for (const panel of [0, 1]) {
      const curve = [...lines[panel].attributes.d.matchAll(/[ML]([-\d.]+),([-\d.]+)/g)].map(([, , y]) =>
        Number(y),
      )
      const inner = Array.from({ length: 40 }, (_, i) => i + 5)
      const gap = inner.map((bin) => curve[4 * bin + 2] - tops[50 * panel + bin]).reduce((a, b) => a + b, 0)
      assert.ok(Math.abs(gap / inner.length) < 12, `panel ${panel}: ${gap / inner.length} px`)
    }
  })
})

describe('chart over thresholds', () => {
  it('names both lines, their units, and where the adaptive threshold ended', async () => {
    const texts = textsOf(readXml(await thresholdChart(sampleAblation())), 'text')
    const lines = ['shallow exits (% of tokens)', "layers run (% of full's)"]
    for (const text of [...lines, 'adaptive ended at 0.56', 'share (%)', '100']) {
      assert.ok(texts.includes(text), text)
    }
  })

  it('refuses fewer than two thresholds', async () => {
    const { rows } = sampleAblation()
    await assert.rejects(thresholdChart({ rows: rows.slice(0, 3) }), { code: 'report.too-few-thresholds' })
  })
})

describe('themes', () => {
  it('a file follows the reader, a picture inside a page takes its colour', () => {
    const words = { title: 'title', description: 'description' }
    const draw = (theme: SvgTheme) => svgDocument('<g/>', { width: 10, height: 10, theme, words })
    assert.match(draw('auto'), /;color:#1f2328.*prefers-color-scheme:dark.*#e6edf3/)
    assert.doesNotMatch(draw('inherit'), /<style|;color:/)
    assert.match(draw('dark'), /;color:#e6edf3/)
    assert.match(draw('light'), /;color:#1f2328/)
  })
})
