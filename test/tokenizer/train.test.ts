// Trained tokenizers: the format, exact sizes, determinism, and the options and texts that are refused.
import assert from 'node:assert/strict'
import { ShallowDeepError } from '../../src/errors.js'
import { Random } from '../../src/random.js'
import { openTokenizer, trainTokenizer } from '../../src/tokenizer/index.js'
import { readCorpus, readGoldenJson } from './golden.js'

const LONE_SURROGATE = /\p{Cs}/u
const MODELS = ['unigram', 'bpe'] as const
const CORPUS_OPTIONS = { vocabSize: 700, characterCoverage: 0.985 }

async function rejectsWith(promise: Promise<unknown>, code: string, words: RegExp): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof ShallowDeepError)
    assert.equal(error.code, code)
    assert.match(error.message, words)
    return true
  })
}

for (const model of MODELS) {
  describe(`trainTokenizer, ${model}`, () => {
    it('gives the committed tokenizer for the committed corpus, scores to 1e-9', async () => {
      const { model: found, ...rest } = await trainTokenizer(readCorpus(), { model, ...CORPUS_OPTIONS })
      const { model: expected, ...restExpected } = readGoldenJson(`trained-${model}`)
      assert.deepEqual(JSON.parse(JSON.stringify(rest)), restExpected)
      const round = (value: unknown) =>
        JSON.parse(JSON.stringify(value), (_key, x: unknown) =>
          typeof x === 'number' ? Math.round(x * 1e9) / 1e9 : x,
        ) as unknown
      assert.deepEqual(round(found), round(expected))
    })

    it('does not depend on the order of the texts, nor on how they arrive', async () => {
      const lines = readCorpus()
      const shuffled = [...lines]
      const random = new Random(5)
      for (let i = shuffled.length - 1; i > 0; i--) {
        const j = random.integer(i + 1)
        ;[shuffled[i], shuffled[j]] = [shuffled[j], shuffled[i]]
      }
      async function* arriving() {
        for (const line of shuffled) yield await Promise.resolve(line)
      }
      const options = { model, ...CORPUS_OPTIONS }
      assert.deepEqual(await trainTokenizer(arriving(), options), await trainTokenizer(lines, options))
    })

    for (const vocabSize of [250, 401, 900]) {
      it(`has exactly ${vocabSize} different pieces, special ones first`, async () => {
        const json = await trainTokenizer(readCorpus(), { model, vocabSize, characterCoverage: 0.95 })
        const tokenizer = openTokenizer(json, 'trained')
        assert.equal(tokenizer.vocabSize, vocabSize)
        const pieces = Array.from({ length: vocabSize }, (_, id) => tokenizer.idToPiece(id))
        assert.equal(new Set(pieces).size, vocabSize)
        assert.ok(!pieces.includes(undefined))
        assert.deepEqual(pieces.slice(0, 3), ['<pad>', '</s>', '<unk>'])
        assert.deepEqual([tokenizer.padId, tokenizer.eosId, tokenizer.unkId], [0, 1, 2])
        assert.equal(tokenizer.encode('the bridge').at(-1), 1)
      })
    }

    it('makes one piece of a word that is frequent, and gives it one id', async () => {
      const texts = readCorpus().map((line) => `${line} Regen don't`)
      const json = await trainTokenizer(texts, { model, ...CORPUS_OPTIONS })
      const tokenizer = openTokenizer(json, 'trained')
      const pieces = tokenizer.encode("Regen don't").map((id) => tokenizer.idToPiece(id))
      assert.deepEqual(pieces, ['▁Regen', "▁don't", '</s>'])
    })

    it('keeps letters, digits and signs apart', async () => {
      const texts = readCorpus().map(
        (line, i) => `${line} ${i}x "${line.slice(0, 4)}${i}!" (${line[0]}-${i}...)`,
      )
      const json = await trainTokenizer(texts, { model, vocabSize: 800, characterCoverage: 0.985 })
      const tokenizer = openTokenizer(json, 'trained')
      for (let id = 3; id < 800; id++) {
        const piece = tokenizer.idToPiece(id)!
        assert.match(piece, /^▁?(?:[\p{L}\p{M}'’]*|\p{N}*|[^\p{L}\p{M}\p{N}▁]*)$/u)
        assert.ok([...piece].length <= 16, piece)
      }
    })

    it('leaves out characters beyond the coverage, and no others', async () => {
      const texts = [...Array.from({ length: 100 }, () => 'abc abd'), 'ab ☃']
      const open = async (characterCoverage: number) =>
        openTokenizer(await trainTokenizer(texts, { model, vocabSize: 9, characterCoverage }), 'trained')
      const covered = await open(1)
      assert.ok(!covered.encode('☃').includes(2))
      const partly = await open(0.998)
      assert.ok(partly.encode('☃').includes(2))
      assert.ok(!partly.encode('a b c d').includes(2))
    })

    it('learns from scripts without spaces and from characters of two code units', async () => {
      const verses = ['春眠不觉曉', '處處聞啼鳥', '夜來風雨聲', '花落知多少', '𠮷野家𠮷野家']
      const texts = Array.from(
        { length: 60 },
        (_, i) => [0, 1, 2].map((j) => verses[(i * (j + 1)) % 5]).join('') + verses.join('').repeat(3),
      )
      const json = await trainTokenizer(texts, { model, vocabSize: 40, characterCoverage: 1 })
      const tokenizer = openTokenizer(json, 'trained')
      const ids = tokenizer.encode(texts[3])
      assert.ok(ids.length < [...texts[3]].length / 2, `${ids.length} ids`)
      assert.equal(tokenizer.decode(ids), texts[3])
      for (let id = 3; id < 40; id++) assert.doesNotMatch(tokenizer.idToPiece(id)!, LONE_SURROGATE)
    })

    it('refuses a vocabulary with no room for the characters', async () => {
      await rejectsWith(
        trainTokenizer(['abcdefghij'], { model, vocabSize: 10 }),
        'tokenizer.too-few-pieces',
        /room for 7 pieces, but the characters alone are 11/,
      )
    })

    it('refuses text that gives fewer pieces, no text included', async () => {
      await rejectsWith(
        trainTokenizer(['ab ab'], { model, vocabSize: 40 }),
        'tokenizer.too-little-text',
        /expected 37 pieces/,
      )
      for (const texts of [[], [''], [' \n\t ']]) {
        await rejectsWith(
          trainTokenizer(texts, { model, vocabSize: 40 }),
          'tokenizer.too-little-text',
          /the text gives only 0/,
        )
      }
    })

    it('refuses impossible options', async () => {
      for (const vocabSize of [3, 0, -1, 10.5, NaN]) {
        await rejectsWith(trainTokenizer(['a'], { model, vocabSize }), 'tokenizer.bad-option', /vocabSize/)
      }
      for (const characterCoverage of [0, 1.01, NaN]) {
        await rejectsWith(
          trainTokenizer(['a'], { model, vocabSize: 40, characterCoverage }),
          'tokenizer.bad-option',
          /characterCoverage/,
        )
      }
    })
  })
}

describe('trainTokenizer', () => {
  it('refuses another model', async () => {
    await rejectsWith(
      trainTokenizer(['a'], { model: 'wordpiece' as 'bpe', vocabSize: 40 }),
      'tokenizer.bad-option',
      /expected unigram or bpe, got "wordpiece"/,
    )
  })

  it('gives a Unigram of falling log probabilities that sum to one at most, its special tokens apart', async () => {
    const { model } = (await trainTokenizer(readCorpus(), {
      model: 'unigram',
      ...CORPUS_OPTIONS,
    })) as unknown as {
      model: { vocab: [string, number][] }
    }
    const scores = model.vocab.slice(3).map(([, score]) => score)
    const sum = scores.reduce((total, score) => total + Math.exp(score), 0)
    // What the last cut took away and the digamma discount are missing from one.
    assert.ok(sum > 0.8 && sum < 1, `${sum}`)
    scores.forEach((score, i) => assert.ok(i === 0 || score <= scores[i - 1]))
  })
})
