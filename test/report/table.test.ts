// Tables of results: numbers, widths, the star of the best fixed threshold, Markdown.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { EvaluationResult } from '../../src/evaluation/index.js'
import { markdownTable, resultTable } from '../../src/report/index.js'
import { displayWidth } from '../../src/report/displayWidth.js'
import { emptyRow, HOSTILE_TEXTS, LEAKED_VALUES, sampleAblation } from './samples.js'

const ANSI = /\x1b\[[\d;]*m/g

describe('table for a terminal', () => {
  it('shows every number of the sample in one block of at most 80 columns', () => {
    const lines = resultTable(sampleAblation()).split('\n')
    assert.ok(lines.every((line) => displayWidth(line) <= 80))
    assert.equal(lines.filter((line) => line.startsWith('full')).length, 1)
    assert.deepEqual(
      lines.map((line) => line.trim().split(/ {1,}/)).find(([policy]) => policy === 'static'),
      ['static', '34.23', '2.45', '2.88', '3.67×', '100.0%', '2.00', '–', '0', '–'],
    )
    const best = lines.find((line) => line.includes('*')) ?? ''
    assert.match(best, /^free 0\.5 \* +36\.44 +4\.03 +5\.80 +2\.23× +79\.1% +3\.25 +86\.8% +628 +4\.80$/)
    assert.match(lines.at(-1) ?? '', /fastest fixed threshold that keeps 99% of full's BLEU/)
  })

  it('has a header for each number', () => {
    const head = resultTable(sampleAblation()).split('\n').slice(0, 2).join(' ')
    for (const word of [
      'policy',
      'BLEU',
      'p50',
      'p95',
      'ms/tok',
      'speed-',
      'shallow',
      'depth',
      'agree-',
      'flushes',
    ]) {
      assert.ok(head.includes(word), word)
    }
  })

  it('no line is wider than the terminal, whatever the rows, and no number is lost', () => {
    const number = fc.double({ min: 0, max: 1e7, noNaN: true })
    const row = fc.record({
      label: fc.oneof(
        fc.string({ unit: 'grapheme' }),
        fc.constantFrom('日本語の長い名前'.repeat(5), ...HOSTILE_TEXTS),
      ),
      speedup: fc.option(number),
      score: fc.double({ min: 0, max: 100, noNaN: true }),
      flushes: fc.nat(),
    })
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 24, max: 160 }),
        (made, width) => {
          const rows = made.map(({ label, speedup, score, flushes }) =>
            emptyRow({
              label,
              speedup,
              quality: { bleu: { score, low: null, high: null, signature: '' } },
              exits: { ...emptyRow().exits, flushes },
            }),
          )
          const table = resultTable({ rows, bestFixed: rows[0] }, { width })
          for (const line of table.split('\n')) assert.ok(displayWidth(line) <= width, JSON.stringify(line))
          for (const { flushes, score } of made) {
            assert.ok(table.includes(flushes.toLocaleString('en-US')))
            assert.ok(table.includes(score.toFixed(2)))
          }
        },
      ),
    )
  })

  it('puts columns that do not fit into further blocks, each with the names of the rows', () => {
    const table = resultTable(sampleAblation(), { width: 50 })
    const blocks = table.split('\n\n')
    assert.ok(blocks.length > 1)
    for (const block of blocks) assert.match(block, /^free adaptive /m)
    assert.match(table, /27\.63/)
  })

  it('shows a dash for what is null or not finite', () => {
    const broken = emptyRow({ speedup: Number.NaN, label: 'broken' })
    const table = resultTable({ rows: [emptyRow(), broken] })
    assert.doesNotMatch(table, LEAKED_VALUES)
    assert.match(table, /^full .*– .*–/m)
  })

  it('has no colour unless asked, and with colour the same text', () => {
    const plain = resultTable(sampleAblation())
    const coloured = resultTable(sampleAblation(), { colour: true })
    assert.doesNotMatch(plain, /\x1b/)
    assert.match(coloured, /\x1b/)
    assert.equal(coloured.replace(ANSI, ''), plain)
  })

  it('a label that only repeats the policy does not hide the threshold', () => {
    const rows = [emptyRow({ policy: 'free', threshold: 0.5, label: 'free' })]
    assert.match(resultTable({ rows }), /^free 0\.5 /m)
  })

  it('shows the metrics asked for', () => {
    const head = resultTable(sampleAblation(), { metrics: ['chrf'] })
    assert.match(head, /chrF/)
    assert.doesNotMatch(head.split('\n')[1], /BLEU/)
    assert.match(resultTable({ rows: [emptyRow()] }, { metrics: ['rouge1'] }), /ROUGE-1/)
  })

  it('refuses an empty list of rows', () => {
    assert.throws(() => resultTable({ rows: [] }), { code: 'report.no-rows' })
    assert.throws(() => markdownTable({ rows: [] }), { code: 'report.no-rows' })
  })
})

describe('table in Markdown', () => {
  it('has as many cells in each line as columns, whatever the labels', () => {
    const rows: EvaluationResult[] = HOSTILE_TEXTS.map((label) => emptyRow({ label }))
    const lines = markdownTable({ rows }).trimEnd().split('\n')
    assert.equal(lines.length, rows.length + 2)
    for (const line of lines) {
      assert.equal(line.replaceAll('\\|', '').split('|').length, 12, line)
      assert.doesNotMatch(line, /<|\x1b/)
    }
  })

  it('shows all metrics with their intervals, and the best fixed threshold in bold', () => {
    const { rows, bestFixed } = sampleAblation()
    const withInterval = emptyRow({
      label: 'measured',
      quality: { bleu: { score: 36.8, low: 35.91, high: 37.7, signature: '' } },
    })
    const table = markdownTable({ rows: [...rows, withInterval], bestFixed })
    assert.match(table, /\| BLEU \| chrF \|/)
    assert.match(table, /\*\*free 0\.5\*\* \| \*\*36\.44\*\*/)
    assert.match(table, /measured \| 36\.80 \(35\.91 to 37\.70\) \| – \|/)
    assert.doesNotMatch(table, LEAKED_VALUES)
  })
})
