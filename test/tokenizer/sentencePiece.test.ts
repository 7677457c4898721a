// spiece.model alone against SentencePiece's own library, and its conversion against Hugging Face's, exactly.
import assert from 'node:assert/strict'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { ShallowDeepError } from '../../src/errors.js'
import {
  IncrementalDetokeniser,
  openSentencePiece,
  openTokenizer,
  sentencePieceToTokenizerJson,
} from '../../src/tokenizer/index.js'
import { readGoldenCases, readGoldenJson, readGoldenModel } from './golden.js'

const MODELS = [
  { name: 'unigram-t5', options: {}, numDifferent: 21 },
  { name: 'unigram-bytes', options: { extraIds: 0 }, numDifferent: 16 },
] as const

for (const { name, options, numDifferent } of MODELS) {
  describe(`SentencePiece model ${name}`, () => {
    const bytes = readGoldenModel(name)
    const tokenizer = openSentencePiece(bytes, name, options)
    const converted = openTokenizer(sentencePieceToTokenizerJson(bytes, name, options), name)
    const { meta, cases, pairs, decode } = readGoldenCases(name)

    it('gives the ids and pieces of SentencePiece for all 439 texts', () => {
      assert.equal(cases.length, 439)
      assert.equal(cases.filter(({ sentencepieceIds }) => sentencepieceIds).length, numDifferent)
      for (const { text, ids, tokens, sentencepieceIds, sentencepieceTokens } of cases) {
        const found = tokenizer.encode(text)
        assert.deepEqual(found, sentencepieceIds ?? ids, JSON.stringify(text))
        const wanted = sentencepieceTokens ?? tokens
        const pieces = found.map((id, i) => (id === tokenizer.unkId ? wanted[i] : tokenizer.idToPiece(id)))
        assert.deepEqual(pieces, wanted, JSON.stringify(text))
      }
    })

    it("gives SentencePiece's text for its ids, whole and as it streams", () => {
      for (const { ids, sentencepieceIds, sentencepieceDecoded } of cases) {
        const own = sentencepieceIds ?? ids
        assert.equal(tokenizer.decode(own), sentencepieceDecoded)
        const detokeniser = new IncrementalDetokeniser(tokenizer)
        const streamed = own.map((id) => detokeniser.push(id)).join('') + detokeniser.end()
        assert.equal(streamed, sentencepieceDecoded)
      }
    })

    it('converts to what the reference converter writes', () => {
      assert.deepEqual(sentencePieceToTokenizerJson(bytes, name, options), readGoldenJson(name))
      assert.deepEqual(tokenizer.toJSON(), readGoldenJson(name))
      assert.equal(tokenizer.vocabSize, meta.vocabSize)
    })

    it('gives, converted, the ids and texts of the `tokenizers` library', () => {
      for (const { text, ids, decodedSkip, decodedKeep } of cases) {
        assert.deepEqual(converted.encode(text), ids, JSON.stringify(text))
        assert.equal(converted.decode(ids), decodedSkip)
        assert.equal(converted.decode(ids, { skipSpecialTokens: false }), decodedKeep)
      }
      for (const { ids, decodedSkip, decodedKeep } of decode) {
        assert.equal(converted.decode(ids), decodedSkip)
        assert.equal(converted.decode(ids, { skipSpecialTokens: false }), decodedKeep)
      }
      for (const { text, pair, ids } of pairs) {
        assert.deepEqual([...converted.encode(text), ...converted.encode(pair)], ids)
      }
    })

    it('keeps special ids apart: left out, or shown as they stand', () => {
      const ids = [...tokenizer.encode('the water'), 0]
      assert.equal(tokenizer.decode(ids), 'the water')
      assert.equal(tokenizer.decode(ids, { skipSpecialTokens: false }), 'the water</s><pad>')
      assert.equal(tokenizer.decode([...ids, tokenizer.vocabSize + 3]), 'the water')
      assert.equal(tokenizer.decode([]), '')
    })
  })
}

describe('SentencePiece bytes', () => {
  const tokenizer = openSentencePiece(readGoldenModel('unigram-bytes'), 'bytes', { extraIds: 0 })
  const byte = (value: number) => 3 + value

  it('that are no UTF-8 become one replacement character each', () => {
    // SentencePiece 0.2.3 gives the same: a valid character among them is kept.
    const ids = [0xf0, 0xb8, 0xd9, 0x77, 0xb3].map(byte)
    assert.equal(tokenizer.decode(ids), '\ufffd\ufffd\ufffdw\ufffd')
  })

  it('are held back until their run ends', () => {
    const detokeniser = new IncrementalDetokeniser(tokenizer)
    assert.deepEqual(
      [0xe1, 0x9a, 0xa0].map((value) => detokeniser.push(byte(value))),
      ['', '', ''],
    )
    const [id] = tokenizer.encode('a').filter((id) => tokenizer.idToPiece(id)!.endsWith('a'))
    assert.match(detokeniser.push(id), /^ᚠ ?a$/)
    detokeniser.push(byte(0xe1))
    assert.equal(detokeniser.end(), '\ufffd')
  })
})

/** The bytes of a small model; `change` may alter its parts. */
function makeModel(change: Partial<ReturnType<typeof defaultModel>> = {}): Uint8Array {
  const { pieces, trainer, normaliser } = { ...defaultModel(), ...change }
  const writer = new BinaryWriter()
  for (const [text, score, kind] of pieces) {
    writer.tag(1, WireType.LengthDelimited).fork()
    writer.tag(1, WireType.LengthDelimited).string(text).tag(2, WireType.Bit32).float(score)
    writer.tag(3, WireType.Varint).int32(kind).join()
  }
  for (const [number, fields] of [
    [2, trainer],
    [3, normaliser],
  ] as const) {
    writer.tag(number, WireType.LengthDelimited).fork()
    for (const [field, value] of Object.entries(fields)) {
      writer.tag(Number(field), WireType.Varint).int32(value)
    }
    writer.join()
  }
  return writer.finish()
}

function defaultModel() {
  return {
    pieces: [
      ['<pad>', 0, 3],
      ['</s>', 0, 3],
      ['<unk>', 0, 2],
      ['▁', -2, 1],
      ['a', -1, 1],
      ['▁a', -4, 1],
      ['<sep>', 0, 4],
    ] as [string, number, number][],
    trainer: {} as Record<number, number>,
    normaliser: {} as Record<number, number>,
  }
}

describe('openSentencePiece', () => {
  it('adds scores in float32, so that ties fall as in SentencePiece', () => {
    const tokenizer = openSentencePiece(readGoldenModel('unigram-bytes'), 'bytes')
    const text = 'Die Donaudampfschilfffahrtsgesellschaft sucht einen neuen Kapitän.'
    // SentencePiece 0.2.3; in float64 it would be 309, 890.
    assert.deepEqual(tokenizer.encode(text).slice(9, 12), [794, 890, 309])
  })

  const { pieces } = defaultModel()

  it('takes pieces that the user defined as they stand, before all others', () => {
    const tokenizer = openSentencePiece(makeModel(), 'small', { extraIds: 2 })
    assert.deepEqual(tokenizer.encode('a<sep>a <sep>'), [3, 4, 6, 4, 3, 6, 1])
    assert.deepEqual(tokenizer.encode('  a ☃☃ a'), [3, 4, 3, 2, 3, 4, 1])
    assert.equal(tokenizer.vocabSize, 9)
    assert.deepEqual([tokenizer.idToPiece(7), tokenizer.idToPiece(8)], ['<extra_id_1>', '<extra_id_0>'])
    assert.equal(tokenizer.decode([3, 2, 4, 8], { skipSpecialTokens: false }), ' ⁇ a<extra_id_0>')
  })

  it('adds 100 sentinels, but none where the pieces hold them', () => {
    assert.equal(openSentencePiece(makeModel(), 'small').vocabSize, 107)
    const own = makeModel({ pieces: [...pieces, ['▁<extra_id_0>', 0, 4]] })
    assert.equal(openSentencePiece(own, 'small').vocabSize, 8)
  })

  const refused: [name: string, bytes: Uint8Array, code: string, words: RegExp][] = [
    ['nothing', new Uint8Array(0), 'invalid', /found none/],
    ['JSON', new TextEncoder().encode('{"model": 1}'), 'invalid', /not a SentencePiece model/],
    ['a claim of gigabytes', Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x07), 'invalid', /EOF/],
    ['deep groups', new Uint8Array(100_000).fill(0x0b), 'invalid', /depth/],
    ['a BPE', makeModel({ trainer: { 3: 2 } }), 'unsupported', /model type 2/],
    ['a space behind words', makeModel({ trainer: { 24: 1 } }), 'unsupported', /behind/],
    ['white space as it is', makeModel({ normaliser: { 4: 0 } }), 'unsupported', /white space/],
    ['an unused piece', makeModel({ pieces: [...pieces, ['x', 0, 5]] }), 'unsupported', /piece 7 of type 5/],
    ['two unknown pieces', makeModel({ pieces: [...pieces, ['x', 0, 2]] }), 'invalid', /one unknown/],
    ['equal pieces', makeModel({ pieces: [...pieces, ['a', 0, 1]] }), 'invalid', /differ/],
    ['an empty piece', makeModel({ pieces: [...pieces, ['', 0, 1]] }), 'invalid', /piece 7/],
    ['an overlong piece', makeModel({ pieces: [...pieces, ['x'.repeat(2000), 0, 1]] }), 'invalid', /piece 7/],
    [
      'a score that is no number',
      makeModel({ pieces: [...pieces, ['x', NaN, 1]] }),
      'invalid',
      /score of piece 7/,
    ],
    [
      'bytes without fallback',
      makeModel({ pieces: [...pieces, ['<0x41>', 0, 6]] }),
      'invalid',
      /0 byte pieces/,
    ],
    ['fallback without bytes', makeModel({ trainer: { 35: 1 } }), 'invalid', /256 byte pieces, got 0/],
    [
      'no end',
      makeModel({ pieces: pieces.filter(([text]) => text !== '</s>') }),
      'missing-special-token',
      /end/,
    ],
  ]
  for (const [name, bytes, code, words] of refused) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => openSentencePiece(bytes, 'some/spiece.model'),
        (error: unknown) => {
          assert.ok(error instanceof ShallowDeepError, String(error))
          assert.equal(error.code, `tokenizer.${code}`)
          assert.match(error.message, words)
          assert.match(error.message, /^some\/spiece\.model/)
          return true
        },
      )
    })
  }
})
