// The HTML page: complete, escaped, without anything to load, the same each time.
import assert from 'node:assert/strict'
import { htmlReport } from '../../src/report/index.js'
import {
  emptyRow,
  HOSTILE_TEXTS,
  LEAKED_VALUES,
  reportInput,
  sampleAblation,
  sampleAdaptive,
} from './samples.js'
import { readXml, textsOf } from './xml.js'

describe('HTML report', () => {
  let page: string
  let elements: ReturnType<typeof readXml>
  before(async () => {
    page = await htmlReport(reportInput())
    elements = readXml(page)
  })

  it('shows what was measured, all rows, and three plots and a diagram', () => {
    const text = elements[0].text
    const { provenance } = reportInput()
    for (const value of Object.values(provenance)) assert.ok(text.includes(String(value)), String(value))
    assert.ok(text.includes('250 examples; tfjs on wasm, float32, 1 thread'))
    const headers = elements.filter(({ name, attributes }) => name === 'th' && attributes.scope === 'row')
    assert.equal(headers.length, sampleAblation().rows.length)
    for (const cell of [
      '36.44',
      '57.01',
      '8.99',
      '12.01',
      '2.23×',
      '79.1%',
      '3.25',
      '86.8%',
      '1,076',
      '27.63',
    ].filter((value) => value !== '12.01')) {
      assert.ok(textsOf(elements, 'td').includes(cell), cell)
    }
    assert.equal(elements.filter(({ name }) => name === 'svg').length, 4)
    assert.deepEqual(textsOf(elements, 'h2'), [
      'What was measured',
      'Results',
      'Quality against speed',
      'What the threshold does',
      'Calibration',
      'Examples',
    ])
    assert.doesNotMatch(text, LEAKED_VALUES)
  })

  it('loads nothing and runs nothing', () => {
    const names = new Set(elements.map(({ name }) => name))
    for (const name of ['script', 'link', 'img', 'image', 'iframe', 'object', 'a', 'use'])
      assert.ok(!names.has(name), name)
    const urls = page.match(/https?:[^"]*|url\([^)]*\)/g) ?? []
    for (const url of urls) assert.match(url, /^http:\/\/www\.w3\.org\/|^url\(#/)
    assert.match(page, /Content-Security-Policy" content="default-src 'none'/)
  })

  it('all ids are unique and all that are used exist', () => {
    const ids = elements.flatMap(({ attributes }) => attributes.id ?? [])
    assert.equal(new Set(ids).size, ids.length)
    for (const [, id] of page.matchAll(/url\(#([^)]+)\)/g)) assert.ok(ids.includes(id), id)
  })

  it('shows every token with its exit, confidence, layer and flush', () => {
    const spans = elements.filter(
      ({ attributes }) => /^t (shallow|deep)$/.test(attributes.class ?? '') && attributes.title,
    )
    const tokens = sampleAdaptive().outputs.flatMap((output) => output.tokens)
    assert.equal(spans.length, tokens.length)
    for (const [i, { exit, exitLayer }] of tokens.entries()) {
      assert.equal(spans[i].attributes.class, `t ${exit}`)
      assert.ok(spans[i].attributes.title.startsWith(`${exit} exit, layer ${exitLayer}, confidence 0.`))
    }
    const titles = spans.map(({ attributes }) => attributes.title)
    assert.equal(
      titles[0],
      'shallow exit, layer 2, confidence 0.930, its deep layers ran in the flush of 3 positions',
    )
    assert.equal(titles[2], 'deep exit, layer 8, confidence 0.310, flush of 3 positions')
    assert.match(titles[8], /never flushed$/)
    const lines = elements.filter(({ attributes }) => attributes.class === 'tokens').map(({ text }) => text)
    assert.deepEqual(
      lines.map((line) => line.replace('⏎', '')),
      sampleAdaptive().outputs.map(({ text }) => text),
    )
  })

  it('examples none leaves out every source, reference and output', async () => {
    const silent = await htmlReport(reportInput({ examples: 'none' }))
    for (const { source, references, text } of sampleAdaptive().outputs) {
      for (const sentence of [source, ...references, text]) assert.ok(!silent.includes(sentence))
    }
    assert.doesNotMatch(silent, /Schnee|Bäckerin/)
    assert.ok(!textsOf(readXml(silent), 'h2').includes('Examples'))
    const two = readXml(await htmlReport(reportInput({ examples: 2 })))
    assert.equal(two.filter(({ attributes }) => attributes.class === 'example').length, 2)
  })

  it('hostile texts stay text wherever they stand', async () => {
    const plain = readXml(await htmlReport(hostileInput(() => 'harmless')))
    const hostile = await htmlReport(hostileInput((i) => HOSTILE_TEXTS[i % HOSTILE_TEXTS.length]))
    const found = readXml(hostile)
    assert.deepEqual(
      new Set(found.map(({ name }) => name)),
      new Set(plain.map(({ name }) => name)),
      'no element that harmless texts do not give',
    )
    assert.ok(
      elements.every(({ attributes }) => Object.keys(attributes).every((key) => !key.startsWith('on'))),
    )
    assert.ok(found[0].text.includes('<script>alert(1)</script>'))
    assert.doesNotMatch(hostile, /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]/)
  })

  it('makes do with a single row that has nulls', async () => {
    const bare = readXml(await htmlReport(reportInput({ results: { rows: [emptyRow()] } })))
    assert.doesNotMatch(bare[0].text, LEAKED_VALUES)
    assert.ok(textsOf(bare, 'td').filter((cell) => cell === '–').length >= 3)
    assert.ok(bare[0].text.includes('3 examples; onnx, int8'))
  })

  it('shows rows without any score, and refuses no rows', async () => {
    readXml(await htmlReport(reportInput({ results: { rows: [emptyRow({ quality: {} })] } })))
    await assert.rejects(htmlReport(reportInput({ results: { rows: [] } })), { code: 'report.no-rows' })
  })

  it('is the same text each time', async () => {
    assert.equal(await htmlReport(reportInput()), page)
  })
})

/** An input with a text of its own in every place that takes one. */
function hostileInput(text: (index: number) => string) {
  let next = 0
  const some = () => text(next++)
  const token = (exit: 'shallow' | 'deep') => ({ text: some(), exit, confidence: 0.5, exitLayer: 1 })
  const output = () => ({
    source: some(),
    references: [some(), some()],
    text: some(),
    tokens: [token('shallow'), token('deep'), token('shallow')],
  })
  const { evidence } = sampleAdaptive()
  const rows = HOSTILE_TEXTS.map((_, i) =>
    emptyRow({
      policy: some(),
      label: some(),
      engine: some(),
      backend: some(),
      dtype: some(),
      speedup: i + 1,
      quality: {
        bleu: { score: i, low: i - 1, high: i + 1, signature: some() },
        [`x${some()}`]: { score: i, low: null, high: null, signature: some() },
      },
      outputs: HOSTILE_TEXTS.map(output),
    }),
  )
  return reportInput({
    title: some(),
    results: { rows, areaUnderCurve: { [some()]: 1 } },
    provenance: { checkpoint: some(), data: some(), command: some(), date: some(), machine: some() },
    evidence: { ...evidence, diagnostics: { ...evidence.diagnostics, code: some(), message: some() } },
    examples: HOSTILE_TEXTS.length,
  })
}
