// The Markdown report and its files.
import assert from 'node:assert/strict'
import type { MarkdownReport } from '../../src/report/index.js'
import { markdownReport } from '../../src/report/index.js'
import { emptyRow, LEAKED_VALUES, reportInput, sampleAdaptive } from './samples.js'
import { readXml } from './xml.js'

describe('Markdown report', () => {
  let report: MarkdownReport
  before(async () => {
    report = await markdownReport(reportInput())
  })

  it('links to each of its plots, and has no others', async () => {
    const { markdown, files } = await markdownReport(reportInput(), { plotPrefix: 'plots/de en-' })
    assert.deepEqual(
      [...markdown.matchAll(/!\[[^\]]+\]\(([^)]+)\)/g)].map(([, path]) => decodeURI(path)),
      Object.keys(files),
    )
    assert.deepEqual(
      Object.keys(files),
      ['quality', 'threshold', 'confidence'].map((name) => `plots/de en-${name}.svg`),
    )
    for (const svg of Object.values(files)) assert.match(readXml(svg)[0].attributes.style, /color:/)
  })

  it('holds the findings, the table, the provenance, the calibration and the examples', () => {
    const { markdown } = report
    const expected = [
      '# Early exits, German to English',
      '2.23× as fast',
      '| **free 0.5** |',
      'Date: 2026-11-24',
    ]
    for (const text of [...expected, '## Calibration', 'Two dogs [ch]ase a red ball [through] the snow.']) {
      assert.ok(markdown.includes(text), text)
    }
    assert.doesNotMatch(markdown, LEAKED_VALUES)
    assert.doesNotMatch(markdown, /\n\n\n/)
  })

  it('examples none leaves out every source, reference and output', async () => {
    const { markdown } = await markdownReport(reportInput({ examples: 'none' }))
    for (const { source } of sampleAdaptive().outputs) assert.ok(!markdown.includes(source))
    assert.doesNotMatch(markdown, /Examples|snow/)
  })

  it('no output ends its code block early', async () => {
    const [output] = sampleAdaptive().outputs
    const tokens = [{ ...output.tokens[0], text: '````' }, output.tokens[1]]
    const rows = [{ ...emptyRow(), outputs: [{ ...output, tokens }] }]
    const { markdown } = await markdownReport(reportInput({ results: { rows } }))
    assert.match(markdown, /^`````text\n````.*\n.*\n`````$/m)
  })

  it('is the same text each time', async () => {
    assert.deepEqual(await markdownReport(reportInput()), report)
  })
})
