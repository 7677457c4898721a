// Comparisons as plain text.
import assert from 'node:assert/strict'
import { displayWidth } from '../../src/report/displayWidth.js'
import { comparisonTable, describeComparison, type NamedComparison } from '../../src/report/index.js'

const comparison: NamedComparison = {
  baseline: 'full.jsonl',
  candidate: 'free.jsonl',
  examples: 1114,
  quality: {
    bleu: {
      baseline: 46.02,
      candidate: 45.7,
      difference: { value: -0.32, low: -0.6, high: -0.04 },
      ratio: { value: 0.993, low: 0.987, high: 0.999 },
      pValue: { bootstrap: 0.02, randomisation: 0.021 },
      signature: 'nrefs:var|case:mixed',
    },
    exactMatch: {
      baseline: 0,
      candidate: 0,
      difference: { value: 0, low: 0, high: 0 },
      ratio: null,
      pValue: { bootstrap: 1, randomisation: 1 },
      signature: 'nrefs:var|case:lc',
    },
  },
  latency: {
    baselineMsPerToken: 3.59,
    candidateMsPerToken: 1.61,
    speedup: { value: 2.23, low: 2.17, high: 2.3 },
  },
}

describe('table of a comparison', () => {
  it('has all numbers of each metric in a line of at most 80 columns', () => {
    const lines = comparisonTable(comparison, { level: 0.95 }).split('\n')
    for (const line of lines) assert.ok(displayWidth(line) <= 80, line)
    const cells = (name: string) => lines.find((line) => line.startsWith(name))!.split(/ {2,}/)
    assert.deepEqual(cells('BLEU '), [
      ...['BLEU', '46.02', '45.70', '-0.32', '-0.60 to -0.04', '0.021', '99.3%', '98.7% to 99.9%'],
    ])
    assert.deepEqual(cells('exact'), [
      'exact match',
      '0.00',
      '0.00',
      '0.00',
      '0.00 to 0.00',
      '1.000',
      '–',
      '–',
    ])
    assert.ok(lines.includes('BLEU: nrefs:var|case:mixed'))
  })

  it('says what is kept of the first metric and how fast it is, each with its interval', () => {
    assert.deepEqual(describeComparison(comparison, 0.95), [
      'A: full.jsonl; B: free.jsonl; 1,114 examples.',
      "B keeps 99.3% (98.7% to 99.9%) of A's BLEU; 95% interval over the examples.",
      'A difference this large has p = 0.021 between equals by approximate randomisation, 0.020 by paired bootstrap.',
      'B decodes 2.23× (2.17× to 2.30×) as fast as A: 1.61 against 3.59 ms a token, in two separate measurements.',
    ])
  })

  it('says so where no share can be said, and nothing of speed where none is known', () => {
    const { exactMatch } = comparison.quality
    const sentences = describeComparison({ ...comparison, quality: { exactMatch }, latency: null }, 0.95)
    assert.equal(sentences.length, 3)
    assert.match(sentences[1], /^A scores 0 in exact match on some choices of examples: /)
  })

  it('is nowhere wider than a narrow terminal', () => {
    for (const width of [24, 50]) {
      for (const line of comparisonTable(comparison, { level: 0.95, width }).split('\n')) {
        assert.ok(displayWidth(line) <= width, line)
      }
    }
  })
})
