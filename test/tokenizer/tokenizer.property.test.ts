// Laws of trained tokenizers for any text: what comes back, and that training and encoding see the same words.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { normaliseText } from '../../src/tokenizer/index.js'
import { countWords, splitWords } from '../../src/tokenizer/words.js'
import { openGolden, readCorpus } from './golden.js'

const SPACES = [' ', '  ', '\n', '\t', '\u00a0', '\u3000', '\u2028', '\u0085']

for (const name of ['trained-unigram', 'trained-bpe'] as const) {
  describe(`tokenizer ${name}`, () => {
    const tokenizer = openGolden(name)
    const characters = Array.from({ length: tokenizer.vocabSize - 3 }, (_, i) =>
      tokenizer.idToPiece(i + 3)!,
    ).filter((piece) => [...piece].length === 1 && piece !== '▁')
    const known = fc
      .array(fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...characters) }, fc.constantFrom(...SPACES)), {
        maxLength: 60,
      })
      .map((parts) => parts.join(''))

    it('decodes what it encoded, normalised, over the characters of its vocabulary', () => {
      fc.assert(
        fc.property(known, (text) => {
          const ids = tokenizer.encode(text)
          // Characters that join in NFKC may give one that the vocabulary lacks.
          fc.pre(!ids.includes(2))
          assert.equal(tokenizer.decode(ids), normaliseText(text))
        }),
        { numRuns: 500 },
      )
    })

    it('sees the words that training counted, whatever the text', () => {
      const part = fc.oneof(
        known,
        fc.string({ unit: 'grapheme', maxLength: 12 }),
        fc.string({ unit: 'binary', maxLength: 8 }),
        fc.constantFrom(...SPACES, '▁', 'ﬁ', '½', 'e\u0301'),
      )
      const text = fc.array(part, { maxLength: 6 }).map((parts) => parts.join(''))
      fc.assert(
        fc.property(text, (text) => {
          const words = splitWords(text)
          const apart = words.flatMap((word) => tokenizer.encode(word).slice(0, -1))
          assert.deepEqual(tokenizer.encode(text), [...apart, 1])
          const ids = tokenizer.encode(text)
          if (!ids.includes(2))
            assert.equal(tokenizer.decode(ids), words.join('').replaceAll('▁', ' ').slice(1))
        }),
        { numRuns: 500 },
      )
    })

    it('encodes a text the same whatever was encoded before', () => {
      const lines = readCorpus()
      const first = lines.map((line) => tokenizer.encode(line))
      assert.deepEqual(
        lines
          .toReversed()
          .map((line) => openGolden(name).encode(line))
          .toReversed(),
        first,
      )
    })
  })
}

describe('words', () => {
  it('normalising twice is normalising once', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        assert.equal(normaliseText(normaliseText(text)), normaliseText(text))
      }),
    )
  })

  it('are marked, whole, and counted', async () => {
    assert.deepEqual(splitWords('  Der\u00a0 Bär\n'), ['▁Der', '▁Bär'])
    assert.deepEqual(splitWords('a▁b'), ['▁a', '▁b'])
    assert.deepEqual(splitWords(' \t'), [])
    assert.deepEqual(
      await countWords(['a b a', 'b']),
      new Map([
        ['▁a', 2],
        ['▁b', 2],
      ]),
    )
  })
})
