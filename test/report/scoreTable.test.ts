// Scores as plain text.
import assert from 'node:assert/strict'
import { METRIC_NAMES, metricByName } from '../../src/metrics/index.js'
import { displayWidth } from '../../src/report/displayWidth.js'
import { scoreTable } from '../../src/report/index.js'

const quality = Object.fromEntries(
  METRIC_NAMES.map((name, i) => [
    name,
    { score: i + 0.125, low: i, high: i + 1, signature: `nrefs:1|${metricByName(name).signature}` },
  ]),
)

describe('table of scores', () => {
  it('has every metric with its interval, and its signature below', () => {
    const [table, signatures] = scoreTable(quality, { level: 0.9 }).split('\n\n')
    assert.match(table, /90%/)
    assert.match(table, /^BLEU +0\.13 +0\.00 to 1\.00$/m)
    assert.match(table, /^ROUGE-Lsum stem +13\.13 +13\.00 to 14\.00$/m)
    assert.equal(table.split('\n').length, 3 + METRIC_NAMES.length)
    for (const { signature } of Object.values(quality)) {
      assert.ok(signatures.replaceAll(/\n {2}/g, '').includes(signature), signature)
    }
  })

  it('shows a dash where there is no interval', () => {
    const only = { bleu: { score: 50, low: null, high: null, signature: 'nrefs:1' } }
    assert.match(scoreTable(only, { level: 0.95 }), /^BLEU +50\.00 +–$/m)
  })

  it('is nowhere wider than the terminal', () => {
    for (const width of [24, 40, 80]) {
      for (const line of scoreTable(quality, { level: 0.95, width }).split('\n')) {
        assert.ok(displayWidth(line) <= width, line)
      }
    }
  })
})
