// Streaming gives what decoding gives, for any ids: text, damage, special ids, ids beyond the vocabulary.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { IncrementalDetokeniser, openTokenizer, type Tokenizer } from '../../src/tokenizer/index.js'
import { GOLDEN_NAMES, openGolden, readGoldenCases, readGoldenJson } from './golden.js'

/** Pushes all ids; asserts after each that what came is certain, and that no more than one character is held back. */
function stream(tokenizer: Tokenizer, ids: readonly number[], skipSpecialTokens: boolean): string[] {
  const detokeniser = new IncrementalDetokeniser(tokenizer, { skipSpecialTokens })
  const pieces: string[] = []
  ids.forEach((id, i) => {
    pieces.push(detokeniser.push(id))
    const soFar = tokenizer.decode(ids.slice(0, i + 1), { skipSpecialTokens })
    const returned = pieces.join('')
    const held = soFar.slice(returned.length)
    assert.ok(
      soFar.startsWith(returned),
      `${JSON.stringify(returned)} is not the start of ${JSON.stringify(soFar)}`,
    )
    const isHeld = held === '' || held === '\ufffd' || endsInBytes(tokenizer, ids.slice(0, i + 1))
    assert.ok(isHeld, `holds back ${JSON.stringify(held)}`)
  })
  pieces.push(detokeniser.end())
  return pieces
}

/** Whether a sequence ends in a byte piece, ids without text aside. */
function endsInBytes(tokenizer: Tokenizer, ids: readonly number[]): boolean {
  const pieces = ids.map((id) => tokenizer.idToPiece(id) ?? '<pad>')
  return /^<0x/.test(pieces.findLast((piece) => !/^<(pad|unk|\/s)>$/.test(piece)) ?? '')
}

const sequence = {
  type: 'Sequence',
  decoders: [
    { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
    { type: 'Fuse' },
    { type: 'Strip', content: ' ', start: 1, stop: 1 },
  ],
}
const stripping = openTokenizer({ ...readGoldenJson('trained-bpe'), decoder: sequence }, 'stripping')

describe('IncrementalDetokeniser', () => {
  for (const name of GOLDEN_NAMES) {
    const tokenizer = openGolden(name)
    // Bytes that begin or continue a character are frequent among the first ids of the byte-level tokenizer.
    const id = fc.oneof(fc.nat(tokenizer.vocabSize + 2), fc.nat(260), fc.constantFrom(0, 1, 2))

    it(`gives what decode gives, whatever the ids (${name})`, () => {
      fc.assert(
        fc.property(fc.array(id, { maxLength: 40 }), fc.boolean(), (ids, skipSpecialTokens) => {
          const text = stream(tokenizer, ids, skipSpecialTokens).join('')
          assert.equal(text, tokenizer.decode(ids, { skipSpecialTokens }))
        }),
        { numRuns: 400 },
      )
    })

    it(`never gives half a character of a whole text (${name})`, () => {
      for (const { text, ids } of readGoldenCases(name).cases) {
        const pieces = stream(tokenizer, ids, true)
        if (!text.includes('\ufffd')) for (const piece of pieces) assert.ok(!piece.includes('\ufffd'), text)
        assert.equal(pieces.join(''), tokenizer.decode(ids))
      }
    })
  }

  it('gives what decode gives where the decoder strips the end, too', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(699), { maxLength: 30 }), (ids) => {
        const detokeniser = new IncrementalDetokeniser(stripping)
        const pieces = ids.map((id) => detokeniser.push(id))
        assert.equal(pieces.join('') + detokeniser.end(), stripping.decode(ids))
      }),
      { numRuns: 400 },
    )
  })

  it('gives a character of four bytes with its last byte', () => {
    const tokenizer = openGolden('bpe-bytelevel')
    const ids = tokenizer.encode('𝔘')
    assert.ok(ids.length > 1)
    const pieces = stream(tokenizer, ids, true)
    assert.deepEqual(pieces, [...ids.slice(1).map(() => ''), '𝔘', ''])
  })

  it('begins anew after its end', () => {
    const tokenizer = openGolden('trained-unigram')
    const detokeniser = new IncrementalDetokeniser(tokenizer)
    const ids = tokenizer.encode('the water')
    for (let round = 0; round < 2; round++) {
      assert.equal(ids.map((id) => detokeniser.push(id)).join('') + detokeniser.end(), 'the water')
    }
  })

  it('decodes a bounded number of ids a push, however long the text is', () => {
    const tokenizer = openGolden('trained-unigram')
    let longest = 0
    const counting: Tokenizer = {
      ...tokenizer,
      decode: (ids, options) => {
        longest = Math.max(longest, ids.length)
        return tokenizer.decode(ids, options)
      },
    }
    const detokeniser = new IncrementalDetokeniser(counting)
    const ids = tokenizer.encode('the bridge was quiet and nobody came. '.repeat(50))
    for (const id of ids) detokeniser.push(id)
    assert.ok(ids.length > 500 && longest <= 4, `${longest} of ${ids.length}`)
  })
})
