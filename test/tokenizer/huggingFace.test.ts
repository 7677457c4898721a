// What openTokenizer refuses and why, and what it sets right beside the library.
import assert from 'node:assert/strict'
import { ShallowDeepError } from '../../src/errors.js'
import { openTokenizer } from '../../src/tokenizer/index.js'
import { openGolden, readGoldenJson, type GoldenName, type JsonObject } from './golden.js'

function changed(change: JsonObject, name: GoldenName = 'trained-unigram'): JsonObject {
  return { ...readGoldenJson(name), ...change }
}

function withModel(change: JsonObject, name: GoldenName = 'trained-unigram'): JsonObject {
  const json = readGoldenJson(name)
  return { ...json, model: { ...(json.model as JsonObject), ...change } }
}

function assertRefused(json: unknown, code: string, words: RegExp): void {
  assert.throws(
    () => openTokenizer(json, 'some/tokenizer.json'),
    (error: unknown) => {
      assert.ok(error instanceof ShallowDeepError)
      assert.equal(error.code, code)
      assert.equal(error.kind, 'usage')
      assert.match(error.message, words)
      assert.match(error.message, /some\/tokenizer\.json/)
      assert.doesNotMatch(error.message, /\n/)
      return true
    },
  )
}

describe('openTokenizer', () => {
  const inexact: [name: string, json: JsonObject, words: RegExp][] = [
    [
      'a normaliser inside a sequence',
      changed({ normalizer: { type: 'Sequence', normalizers: [{ type: 'NFKC' }, { type: 'Nmt' }] } }),
      /normalizer Nmt/,
    ],
    ['byte fallback in a BPE', withModel({ byte_fallback: true }, 'trained-bpe'), /byte fallback/],
    ['a WordPiece decoder', changed({ decoder: { type: 'WordPiece' } }), /decoder WordPiece/],
    ['Lowercase', changed({ normalizer: { type: 'Lowercase' } }), /normalizer Lowercase/],
    [
      'splitting at digits',
      changed({ pre_tokenizer: { type: 'Digits' } }),
      /pre_tokenizer Digits \(supported: ByteLevel, Metaspace, WhitespaceSplit\)/,
    ],
    ['another post-processor', changed({ post_processor: { type: 'Own' } }), /post_processor Own/],
    ['another model', withModel({ type: 'WordPiece' }), /model WordPiece \(supported: Unigram, BPE\)/],
    ['BPE dropout', withModel({ dropout: 0.1 }, 'bpe-metaspace'), /dropout/],
    ['word suffixes', withModel({ end_of_word_suffix: '</w>' }, 'bpe-metaspace'), /end_of_word_suffix/],
    [
      'prefixes inside words',
      withModel({ continuing_subword_prefix: '##' }, 'bpe-metaspace'),
      /continuing_subword_prefix/,
    ],
    [
      'added tokens that match whole words only',
      changed({ added_tokens: [{ id: 0, content: '<pad>', single_word: true }] }),
      /single_word/,
    ],
  ]
  for (const [name, json, words] of inexact) {
    it(`refuses what would not be exact: ${name}`, () => assertRefused(json, 'tokenizer.unsupported', words))
  }

  const invalid: [name: string, json: unknown, words: RegExp][] = [
    ['a list', [], /expected an object, got \[\]/],
    ['null', null, /expected an object, got null/],
    ['another JSON file', { vocab_size: 32128 }, /under model, got nothing/],
    ['a model without type', withModel({ type: undefined }), /Unigram or BPE under model.type, got nothing/],
    ['a Unigram without pieces', withModel({ vocab: [] }), /list of \[piece, score\]/],
    ['a Unigram of pieces without score', withModel({ vocab: [['a']] }), /list of \[piece, score\]/],
    ['a Unigram without unknown piece', withModel({ unk_id: null }), /model.unk_id, got null/],
    ['an unknown piece beyond the vocabulary', withModel({ unk_id: 9999 }), /model.unk_id, got 9999/],
    ['a BPE with a list of pieces', withModel({ vocab: [] }, 'trained-bpe'), /piece: id under model.vocab/],
    ['a BPE without merges', withModel({ merges: undefined }, 'trained-bpe'), /under model.merges/],
    ['a part without type', changed({ decoder: 'Metaspace' }), /type under decoder, got "Metaspace"/],
    ['a sequence without list', changed({ normalizer: { type: 'Sequence' } }), /normalizer.normalizers/],
    ['added tokens without id', changed({ added_tokens: [{ content: '<pad>' }] }), /under added_tokens/],
    [
      'a pattern that is none',
      changed({ normalizer: { type: 'Replace', pattern: { Regex: '(' }, content: '' } }),
      /regular expression/i,
    ],
  ]
  for (const [name, json, words] of invalid) {
    it(`refuses what is no tokenizer.json: ${name}`, () => assertRefused(json, 'tokenizer.invalid', words))
  }

  for (const [role, token] of [
    ['pad', '<pad>'],
    ['end', '</s>'],
  ]) {
    it(`refuses a tokenizer without ${role} token`, () => {
      const { model, added_tokens, ...rest } = readGoldenJson('trained-unigram')
      const vocab = (model as { vocab: [string, number][] }).vocab.map(([piece, score]) => [
        piece === token ? 'gone' : piece,
        score,
      ])
      const added = (added_tokens as { content: string }[]).filter(({ content }) => content !== token)
      const json = { ...rest, model: { ...(model as JsonObject), vocab }, added_tokens: added }
      assertRefused(json, 'tokenizer.missing-special-token', new RegExp(`${role} token .*${token}`))
    })
  }

  it('names the special ids, and no unknown one where every text can be spelled', () => {
    const { padId, eosId, unkId } = openGolden('trained-unigram')
    assert.deepEqual([padId, eosId, unkId], [0, 1, 2])
    const bytes = openGolden('bpe-bytelevel')
    assert.deepEqual([bytes.padId, bytes.eosId, bytes.unkId], [0, 0, undefined])
  })

  it('decodes no ids, and special ids alone, to the empty text', () => {
    const tokenizer = openGolden('trained-unigram')
    assert.equal(tokenizer.decode([]), '')
    assert.equal(tokenizer.decode([0, 0, 1]), '')
    assert.equal(tokenizer.decode([0, 1], { skipSpecialTokens: false }), '<pad></s>')
  })

  it('leaves out ids beyond the vocabulary', () => {
    const tokenizer = openGolden('trained-unigram')
    const ids = tokenizer.encode('water')
    for (const skipSpecialTokens of [true, false]) {
      const options = { skipSpecialTokens }
      assert.equal(tokenizer.decode([700, ...ids, 32127], options), tokenizer.decode(ids, options))
    }
    assert.equal(tokenizer.idToPiece(700), undefined)
  })

  it('hands back the very object it was opened from', () => {
    const json = readGoldenJson('trained-bpe')
    const copy = structuredClone(json)
    assert.equal(openTokenizer(json, 'here').toJSON(), json)
    assert.deepEqual(json, copy)
  })

  it('fills in parts that are left out', () => {
    const { model, added_tokens, decoder, pre_tokenizer } = readGoldenJson('bpe-metaspace')
    const tokenizer = openTokenizer({ model, added_tokens, decoder, pre_tokenizer }, 'here')
    assert.deepEqual(
      [...tokenizer.encode('The teacher'), 1],
      openGolden('bpe-metaspace').encode('The teacher'),
    )
  })

  it('cuts byte-level words at white space as Unicode has it, not JavaScript', () => {
    const tokenizer = openGolden('bpe-bytelevel')
    const pieces = (text: string) => tokenizer.encode(text).map((id) => tokenizer.idToPiece(id))
    // U+0085 is white space, so the space before it stands alone; Python's tokenizers gives the same.
    assert.deepEqual(pieces('a \u0085b'), ['a', 'Ġ', 'Â', 'ħ', 'b'])
    assert.deepEqual(pieces('a \ufeffb').join(''), 'aĠï»¿b')
  })

  it('adds a space before byte-level words where the tokenizer says so', () => {
    const pre_tokenizer = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true }
    const prefixing = openTokenizer(changed({ pre_tokenizer }, 'bpe-bytelevel'), 'here')
    const plain = openGolden('bpe-bytelevel')
    assert.deepEqual(prefixing.encode('die Karte'), plain.encode(' die Karte'))
    assert.deepEqual(prefixing.encode(' die Karte'), plain.encode(' die Karte'))
    assert.deepEqual(prefixing.encode('😀'), plain.encode(' 😀'))
    assert.deepEqual(prefixing.encode('$1'), plain.encode(' $1'))
  })

  it('fuses unknown characters within a word only', () => {
    // Without a piece for the mark, words are unknown from end to end. Python's tokenizers gives the same.
    const json = readGoldenJson('trained-unigram')
    const vocab = (json.model as { vocab: [string, number][] }).vocab.filter(
      ([piece]) => !piece.includes('▁'),
    )
    const tokenizer = openTokenizer({ ...json, model: { ...(json.model as JsonObject), vocab } }, 'here')
    assert.deepEqual(tokenizer.encode('ᚠᚢ ᚠ'), [2, 2, 1])
  })
})
