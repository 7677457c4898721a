// The parts of a tokenizer.json one by one: what they do beyond the vectors, and what a file may not make them do.
import assert from 'node:assert/strict'
import { ShallowDeepError } from '../../src/errors.js'
import { openTokenizer } from '../../src/tokenizer/index.js'
import { readGoldenJson, type JsonObject } from './golden.js'

/** Characters as pieces, so that ids show the text that the model sees. */
function openWith(change: JsonObject, pieces = [...' ▁abcdefß#$&☃\u0301']) {
  const { post_processor } = readGoldenJson('trained-unigram')
  const vocab = ['<pad>', '</s>', '<unk>', ...pieces].map((piece) => [piece, -1])
  return openTokenizer({ model: { type: 'Unigram', unk_id: 2, vocab }, post_processor, ...change }, 'here')
}

/** The text that the model sees. */
function seen(change: JsonObject, text: string): string {
  const tokenizer = openWith(change)
  const ids = tokenizer.encode(text).slice(0, -1)
  return ids.map((id) => tokenizer.idToPiece(id)).join('')
}

function decoded(decoder: unknown, ...pieces: string[]): string {
  const tokenizer = openWith({ decoder }, pieces)
  return tokenizer.decode(pieces.map((_, i) => i + 3))
}

function assertRefused(change: JsonObject, code: string, words: RegExp): void {
  assert.throws(
    () => openWith(change).encode('ab'.repeat(40)),
    (error: unknown) => {
      assert.ok(error instanceof ShallowDeepError, String(error))
      assert.equal(error.code, code)
      assert.match(error.message, words)
      return true
    },
  )
}

const replace = (pattern: object, content: string) => ({ type: 'Replace', pattern, content })
const sequence = (...normalizers: object[]) => ({ normalizer: { type: 'Sequence', normalizers } })

describe('normalisers', () => {
  it('replace by the content as it stands, dollars too', () => {
    assert.equal(seen({ normalizer: replace({ String: 'a' }, '$&') }, 'ab'), '$&b')
    assert.equal(seen({ normalizer: replace({ Regex: 'a|b' }, '$$') }, 'ab'), '$$$$')
  })

  it('strip what Unicode calls white space, on the sides that are named', () => {
    const strip = (left: boolean, right: boolean) => ({
      normalizer: { type: 'Strip', strip_left: left, strip_right: right },
    })
    assert.equal(seen(strip(true, false), '\u0085 a '), 'a ')
    assert.equal(seen(strip(false, true), ' a\u2028\u0085'), ' a')
    assert.equal(seen(strip(true, true), ' '), '')
  })

  it('prepend to a text, not to none', () => {
    const normalizer = { type: 'Prepend', prepend: '#' }
    assert.equal(seen({ normalizer }, 'a'), '#a')
    assert.equal(seen({ normalizer }, ''), '')
  })

  for (const Regex of [' {2,}', '\\s+', '^ | $', 'a', '[ab]{1,3}', '\\p{L}', '[^\\s]', 'a?', '\\x{2581}']) {
    it(`take the regular expression ${Regex}`, () => {
      openWith({ normalizer: replace({ Regex }, '') }).encode('a b')
    })
  }

  for (const Regex of [
    '(a+)+$',
    '(a|aa)+$',
    'a*a*a*a*b',
    '\\s+$',
    'a{99999}',
    '(?=a)',
    '[[:alpha:]&&a]+',
    '(a)\\1',
  ]) {
    it(`refuse the regular expression ${Regex}, which may take more than linear time`, () => {
      assertRefused({ normalizer: replace({ Regex }, '') }, 'tokenizer.invalid', /regular expression/)
    })
  }

  it('may not let a text explode', () => {
    const doubling = Array.from({ length: 40 }, () => replace({ String: 'a' }, 'aa'))
    assertRefused(sequence(...doubling), 'tokenizer.text-too-long', /64 times/)
    const long = replace({ String: 'a' }, 'a'.repeat(1000))
    assertRefused({ normalizer: long }, 'tokenizer.invalid', /content/)
  })

  it('may not be nested without end, or be without number', () => {
    let deep: object = { type: 'NFC' }
    for (let i = 0; i < 20_000; i++) deep = { type: 'Sequence', normalizers: [deep] }
    assertRefused({ normalizer: deep }, 'tokenizer.invalid', /nested at most 16/)
    const many = Array.from({ length: 101 }, () => ({ type: 'NFC' }))
    assertRefused(sequence(...many), 'tokenizer.invalid', /at most 100 parts/)
  })

  for (const [name, bytes] of [
    ['no trie', []],
    ['a trie of gigabytes', [255, 255, 255, 255, 0, 0]],
    ['half a unit', [3, 0, 0, 0, 0, 0, 0, 0]],
    ['a replacement without end', [4, 0, 0, 0, 0, 0, 0, 0, ...new Array<number>(300).fill(97)]],
  ] as const) {
    it(`refuse a compiled table with ${name}`, () => {
      const precompiled_charsmap = Buffer.from(bytes).toString('base64')
      const normalizer = { type: 'Precompiled', precompiled_charsmap }
      assertRefused({ normalizer }, 'tokenizer.invalid', /normalizer Precompiled: expected/)
    })
  }
})

describe('pre-tokenisers', () => {
  const metaspace = { type: 'Metaspace', replacement: '▁' }

  it('put the mark before the text, its first word, or nothing', () => {
    const added_tokens = [{ id: 40, content: '|', special: true }]
    const marks = (prepend_scheme: string) => {
      const split = {
        type: 'Sequence',
        pretokenizers: [{ type: 'WhitespaceSplit' }, { ...metaspace, prepend_scheme }],
      }
      return seen({ pre_tokenizer: split, added_tokens }, 'a b|c')
    }
    assert.equal(marks('always'), '▁a▁b|▁c')
    assert.equal(marks('first'), '▁ab|c')
    assert.equal(marks('never'), 'ab|c')
  })

  it('refuse add_prefix_space that contradicts the scheme, as the reference does', () => {
    assertRefused({ pre_tokenizer: { ...metaspace, add_prefix_space: false } }, 'tokenizer.invalid', /never/)
  })
})

describe('decoders', () => {
  it('Metaspace drops all marks of the first piece', () => {
    assert.equal(decoded({ type: 'Metaspace', replacement: '▁' }, '▁▁a', '▁b'), 'a b')
    assert.equal(decoded({ type: 'Metaspace', replacement: '▁', prepend_scheme: 'never' }, '▁a'), ' a')
  })

  it('ByteFallback gives characters, or a replacement character for each byte of a damaged run', () => {
    const bytes = { type: 'ByteFallback' }
    assert.equal(decoded(bytes, '<0xE1>', '<0x9A>', '<0xA0>', 'a'), 'ᚠa')
    assert.equal(decoded(bytes, '<0x41>', '<0xE1>', 'a', '<0x42>'), '\ufffd\ufffdaB')
    assert.equal(decoded(bytes, '<0xEF>', '<0xBB>', '<0xBF>', 'a'), '\ufeffa') // no byte order mark here
  })

  it('ByteLevel takes a piece with other characters as text', () => {
    assert.equal(decoded({ type: 'ByteLevel' }, 'Ã', '¼', '☃Ã'), 'ü☃Ã')
  })

  it('none puts spaces between pieces', () => assert.equal(decoded(null, 'a', 'b'), 'a b'))
})

describe('vocabularies', () => {
  const bad: [name: string, model: JsonObject, words: RegExp][] = [
    ['a score beyond numbers', { vocab: [['a', JSON.parse('1e999')]] }, /\[piece, score\]/],
    ['a score that is no number', { vocab: [['a', null]] }, /\[piece, score\]/],
    ['half a character', { vocab: [['\ud800', 0]] }, /\[piece, score\]/],
    ['a piece without end', { vocab: [['a'.repeat(2000), 0]] }, /\[piece, score\]/],
    ['a huge id', { type: 'BPE', vocab: { a: 2 ** 40 }, merges: [] }, /piece: id/],
    ['a negative id', { type: 'BPE', vocab: { a: -1 }, merges: [] }, /piece: id/],
    ['one id twice', { type: 'BPE', vocab: { a: 1, b: 1 }, merges: [] }, /differ/],
    [
      'a merge of unknown pieces',
      { type: 'BPE', vocab: { a: 1, b: 2 }, merges: ['a b'] },
      /merges, got "a b"/,
    ],
  ]
  for (const [name, change, words] of bad) {
    it(`refuse ${name}`, () => {
      const model = { type: 'Unigram', unk_id: 0, ...change }
      assertRefused({ model }, 'tokenizer.invalid', words)
    })
  }

  it('take pieces that are names of JavaScript', () => {
    const names = ['__proto__', 'constructor', 'toString']
    const unigram = openWith({}, names)
    assert.deepEqual(unigram.encode('__proto__toString'), [3, 5, 1])
    const vocab = JSON.parse('{"<pad>": 0, "</s>": 1, "__proto__": 2, "constructor": 3}') as object
    const bpe = openWith({ model: { type: 'BPE', vocab, merges: [], ignore_merges: true } })
    assert.deepEqual(bpe.encode('__proto__'), [2, 1])
  })

  it('may have gaps between ids', () => {
    const tokenizer = openWith({ added_tokens: [{ id: 1000, content: '<new>', special: true }] })
    assert.equal(tokenizer.vocabSize, 1001)
    assert.deepEqual(tokenizer.encode('a<new>').slice(1), [1000, 1])
  })

  it('refuse added tokens that disagree with the pieces', () => {
    for (const token of [
      { id: 5, content: '<pad>' },
      { id: 0, content: '<new>' },
    ]) {
      assertRefused({ added_tokens: [token] }, 'tokenizer.invalid', /one id a piece/)
    }
    assertRefused({ added_tokens: [{ id: 1e12, content: '<new>' }] }, 'tokenizer.invalid', /added_tokens/)
  })

  it('fuse unknown characters, and spell what bytes can', () => {
    const bytes = ['<0xE2>', '<0x98>', '<0x83>']
    const vocab = ['<pad>', '</s>', '<unk>', 'a', ...bytes].map((piece) => [piece, -1])
    const tokenizer = openWith({ model: { type: 'Unigram', unk_id: 2, vocab, byte_fallback: true } })
    assert.deepEqual(tokenizer.encode('a☃☃'), [3, 4, 5, 6, 4, 5, 6, 1])
    assert.deepEqual(tokenizer.encode('a☃é'), [3, 2, 1]) // é has a byte that is no piece
  })
})
