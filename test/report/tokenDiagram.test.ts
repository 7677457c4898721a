// The picture of one output: every token at the height of its exit, brackets around what was flushed together.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { OutputToken } from '../../src/evaluation/index.js'
import { readmePicture, tokenDiagram } from '../../src/report/index.js'
import { HOSTILE_TEXTS, LEAKED_VALUES, sampleAdaptive, tokensOf } from './samples.js'
import { readXml, textsOf } from './xml.js'

function draw(line: string, threshold: number | null = 0.42): string {
  return tokenDiagram({ source: 'Quelle', text: 'output', threshold, tokens: tokensOf(line) })
}

/** Boxes of the tokens: the filled ones behind white text. */
function tokenBoxes(svg: string) {
  return readXml(svg)
    .filter(({ name, attributes }) => name === 'rect' && attributes.rx === '6' && attributes.fill !== 'none')
    .map(({ attributes }) => ({
      x: Number(attributes.x),
      y: Number(attributes.y),
      width: Number(attributes.width),
    }))
}

describe('token diagram', () => {
  it('shows each token once, deep ones higher, in order, within 800 pixels', () => {
    const { outputs } = sampleAdaptive()
    const svg = tokenDiagram(outputs[0])
    const boxes = tokenBoxes(svg)
    const { tokens } = outputs[0]
    assert.equal(boxes.length, tokens.length)
    const height = (exit: OutputToken['exit']) =>
      new Set(boxes.filter((_, i) => tokens[i].exit === exit).map(({ y }) => y))
    const [[deep], [shallow]] = [[...height('deep')], [...height('shallow')]]
    assert.equal(height('deep').size + height('shallow').size, 2)
    assert.ok(deep < shallow)
    for (const [i, box] of boxes.entries()) {
      assert.ok(box.x + box.width <= 800)
      if (i > 0) assert.ok(box.x >= boxes[i - 1].x + boxes[i - 1].width)
    }
  })

  it('says in words what it shows', () => {
    const texts = textsOf(readXml(draw('Two _dogs *_ch ase _run')), 'text')
    assert.ok(texts.includes('4 of 5 tokens left after layer 2; the deeper layers ran once, not 5 times.'))
    for (const text of ['Quelle', 'deep exit', 'after layer 8', 'after layer 2', 'threshold 0.42', '0.20']) {
      assert.ok(texts.includes(text), text)
    }
  })

  it('brackets each flush with its size, and what never went deep', () => {
    const svg = draw('extraordinary _wonderful *_things happened _all _around _everybody')
    const texts = textsOf(readXml(svg), 'text')
    assert.ok(texts.includes('one deep pass over 3 positions'))
    assert.ok(texts.includes('never needed the deep layers'))
    assert.ok(!textsOf(readXml(draw('a *_b')), 'text').some((text) => text.startsWith('never')))
  })

  it('leaves out the threshold and bars that are not known', () => {
    const tokens = tokensOf('a *_b').map((token) => ({ ...token, confidence: null }))
    const svg = tokenDiagram({ source: '', text: '', tokens })
    assert.doesNotMatch(svg, LEAKED_VALUES)
    assert.ok(!textsOf(readXml(svg), 'text').some((text) => text.startsWith('threshold')))
  })

  it('goes on in further rows, with brackets across them', () => {
    const long = Array.from({ length: 60 }, (_, i) => (i % 25 === 24 ? '*_deep' : '_word')).join(' ')
    const svg = draw(long)
    const [root] = readXml(svg)
    assert.equal(root.attributes.width, '800')
    assert.ok(Number(root.attributes.height) > 700)
    assert.equal(tokenBoxes(svg).length, 60)
  })

  it('is well-formed and inside its width for any tokens', () => {
    const token = fc.record({
      text: fc.oneof(
        fc.constantFrom(...HOSTILE_TEXTS, '', ' ', 'x'.repeat(80), '日本語'),
        fc.string({ unit: 'grapheme' }),
      ),
      exit: fc.constantFrom('shallow' as const, 'deep' as const),
      confidence: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      exitLayer: fc.integer({ min: 1, max: 12 }),
    })
    fc.assert(
      fc.property(
        fc.array(token, { maxLength: 30 }),
        fc.constantFrom(...HOSTILE_TEXTS),
        fc.integer({ min: 320, max: 1200 }),
        (tokens, text, width) => {
          const svg = tokenDiagram({ source: text, text, tokens, threshold: 0.5 }, { width })
          assert.equal(readXml(svg)[0].attributes.width, String(width))
          assert.doesNotMatch(svg.replaceAll(/>[^<]*</g, '><'), LEAKED_VALUES)
          for (const box of tokenBoxes(svg)) assert.ok(box.x >= 0 && box.x + box.width <= width)
        },
      ),
    )
  })

  it('the picture for a README comes for both schemes, each the same every time', () => {
    const [output] = sampleAdaptive().outputs
    const { light, dark } = readmePicture(output)
    assert.notEqual(light, dark)
    assert.equal(light.replaceAll('#1f2328', '#e6edf3'), dark)
    assert.deepEqual(readmePicture(output), { light, dark })
  })
})
