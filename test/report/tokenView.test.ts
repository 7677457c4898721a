// One output on a terminal, token by token.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { exitLegend, styleToken, tokenView } from '../../src/report/index.js'
import { displayWidth } from '../../src/report/displayWidth.js'
import { HOSTILE_TEXTS, sampleAdaptive, tokensOf } from './samples.js'

const ANSI = /\x1b\[[\d;]*m/g

const token = fc.record({
  text: fc.oneof(
    fc.constantFrom('a', ' word', 'ing', ' ', '', '日本', ' 👍🏽', 'x'.repeat(30), ...HOSTILE_TEXTS),
    fc.string({ unit: 'grapheme', maxLength: 8 }),
  ),
  exit: fc.constantFrom('shallow' as const, 'deep' as const),
  confidence: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  exitLayer: fc.integer({ min: 1, max: 12 }),
})

describe('token view', () => {
  it('puts deep tokens in brackets where there is no colour, spaces outside', () => {
    const [text, summary] = tokenView({ tokens: tokensOf('Two _dogs *_ch ase . *') }).split('\n')
    assert.equal(text, 'Two dogs [ch]ase. [⏎]')
    assert.equal(summary, '4 of 6 tokens exited shallow (67%)')
  })

  it('colours tokens by their exit instead, when asked', () => {
    const [text] = tokenView({ tokens: tokensOf('Two *_dogs') }, { colour: true }).split('\n')
    assert.equal(text, '\x1b[36mTwo\x1b[39m \x1b[1m\x1b[33mdogs\x1b[39m\x1b[22m')
  })

  it('shows tokens without text, and wraps at words', () => {
    assert.equal(tokenView({ tokens: tokensOf('a * b') }).split('\n')[0], 'a[∅]b')
    assert.deepEqual(
      tokenView({ tokens: tokensOf('one _two *_th ree _four') }, { width: 12 })
        .split('\n')
        .slice(0, 3),
      ['one two', '[th]ree four', '4 of 5'],
    )
  })

  it('no line is wider than the terminal, and no text is lost', () => {
    fc.assert(
      fc.property(
        fc.array(token, { maxLength: 25 }),
        fc.record({
          width: fc.integer({ min: 12, max: 60 }),
          colour: fc.boolean(),
          indent: fc.integer({ min: 0, max: 6 }),
        }),
        (tokens, options) => {
          const lines = tokenView({ tokens }, options).replace(ANSI, '').split('\n')
          for (const line of lines) assert.ok(displayWidth(line) <= options.width, JSON.stringify(line))
          const shown = lines.join('').replace(/[^\p{L}\p{N}]/gu, '')
          for (const { text } of tokens) {
            const plain = text.replace(/[^\p{L}\p{N}]/gu, '')
            assert.ok(shown.includes(plain), plain)
          }
          assert.doesNotMatch(lines.join(''), /[\x00-\x1f]/)
        },
      ),
    )
  })

  it('shows the outputs of the sample, 80 columns wide', () => {
    for (const output of sampleAdaptive().outputs) {
      const view = tokenView(output)
      assert.ok(view.split('\n').every((line) => line.length <= 80))
      assert.equal(view.split('\n')[0].replace(/[[\]]/g, '').replace(/ ⏎$/, ''), output.text)
    }
  })

  it('an output without tokens has no share', () => {
    assert.equal(tokenView({ tokens: [] }), '0 of 0 tokens exited shallow (–)')
  })
})

describe('legend and streaming', () => {
  it('the legend names the layers seen', () => {
    assert.equal(exitLegend(tokensOf('a *b')), 'shallow exit (layer 2)  [deep exit] (layer 8)')
    assert.equal(exitLegend(tokensOf('a')), 'shallow exit (layer 2)  [deep exit]')
  })

  it('a streamed token keeps its space outside the marks and can command nothing', () => {
    assert.equal(styleToken({ text: ' dogs', exit: 'deep' }, false), ' [dogs]')
    assert.equal(styleToken({ text: ' dogs', exit: 'shallow' }, false), ' dogs')
    assert.equal(styleToken({ text: '', exit: 'deep' }, false), '')
    assert.equal(styleToken({ text: '\x1b[2J', exit: 'shallow' }, false), '␛[2J')
    assert.equal(styleToken({ text: ' a', exit: 'shallow' }, true), ' \x1b[36ma\x1b[39m')
  })
})
