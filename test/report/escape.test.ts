// Foreign text in HTML, Markdown and on a terminal.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { escapeMarkdown, escapeTerminal, escapeXml } from '../../src/report/escape.js'
import { HOSTILE_TEXTS } from './samples.js'
import { readXml } from './xml.js'

const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...HOSTILE_TEXTS))

describe('escaping', () => {
  it('any text is the same text again when it is read back from XML', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const [element] = readXml(`<a b="${escapeXml(text)}">${escapeXml(text)}</a>`)
        assert.equal(element.attributes.b, element.text)
        // Controls, half pairs and marks of direction are the only losses.
        const lossless = text.replace(
          /[^\t\n\x20-\x7e\xa0-\u2029\u202f-\u2065\u206a-\ud7ff\ue000-\ufffd]/g,
          '',
        )
        if (lossless === text) assert.equal(element.text, text)
      }),
    )
  })

  it('leaves nothing on a terminal that is not printed', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        assert.doesNotMatch(escapeTerminal(text), /[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/)
      }),
    )
    assert.equal(escapeTerminal('\u001b[31m\n'), '␛[31m␊')
  })

  it('leaves no markup in Markdown', () => {
    assert.equal(escapeMarkdown('a | b\n*c* <d> `e` [f](g)'), 'a \\| b \\*c\\* &lt;d&gt; \\`e\\` \\[f\\](g)')
  })
})
