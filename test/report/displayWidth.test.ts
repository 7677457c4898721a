// Columns of a terminal that texts take, and cutting and wrapping by them.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { cutToWidth, displayWidth, padToWidth, wrapText } from '../../src/report/displayWidth.js'

const text = fc.string({
  unit: fc.constantFrom(...'abc xyz,é', 'e\u0301', '日', '本', 'ｆ', '한', '👍🏽', '👩‍👩‍👧', '–', '×', 'ß', '🇩🇪'),
  maxLength: 40,
})

describe('width on a terminal', () => {
  for (const [sample, width] of [
    ['', 0],
    ['plain', 5],
    ['Übergrößenträger', 16],
    ['e\u0301', 1],
    ['日本', 4],
    ['ｆ', 2],
    ['한글', 4],
    ['👍🏽', 2],
    ['👩‍👩‍👧', 2],
    ['🇩🇪', 2],
    ['❤️', 2],
    ['–×→…', 4],
    ['\u200b', 0],
    ['नि', 1],
    ['ไทย', 3],
  ] as const) {
    it(`takes ${width} columns for ${JSON.stringify(sample)}`, () => {
      assert.equal(displayWidth(sample), width)
    })
  }

  it('cut texts fit, and texts that fit are not cut', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 50 }), (sample, width) => {
        const cut = cutToWidth(sample, width)
        assert.ok(displayWidth(cut) <= width)
        if (displayWidth(sample) <= width) assert.equal(cut, sample)
        else assert.ok(cut.endsWith('…') && sample.startsWith(cut.slice(0, -1)))
      }),
    )
  })

  it('padded texts have the width asked for', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 0, max: 20 }), (sample, extra) => {
        const width = displayWidth(sample) + extra
        assert.equal(padToWidth(sample, width, 'left'), sample + ' '.repeat(extra))
        assert.equal(padToWidth(sample, width, 'right'), ' '.repeat(extra) + sample)
      }),
    )
  })

  it('wrapped lines fit and lose nothing but spaces', () => {
    fc.assert(
      fc.property(
        text,
        fc.integer({ min: 4, max: 30 }),
        fc.constantFrom('', '  '),
        (sample, width, indent) => {
          const lines = wrapText(sample, width, indent)
          for (const line of lines) assert.ok(displayWidth(line) <= width, JSON.stringify(line))
          assert.equal(lines.join('').replaceAll(' ', ''), sample.replaceAll(' ', ''))
        },
      ),
    )
  })

  it('breaks lines at spaces where it can', () => {
    assert.deepEqual(wrapText('one two three four', 9), ['one two', 'three', 'four'])
    assert.deepEqual(wrapText('one two three', 9, '  '), ['one two', '  three'])
    assert.deepEqual(wrapText('extraordinary', 5), ['extra', 'ordin', 'ary'])
  })
})
