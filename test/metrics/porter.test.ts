// The stemmer against nltk 3.10.4's PorterStemmer in its default mode: all words of porter.json and of traps.json.
import assert from 'node:assert/strict'
import { stemWord, tokenizeForRouge } from '../../src/metrics/index.js'
import { readGolden } from './golden.js'

describe('Porter stemmer', () => {
  it('stems all 782 words as nltk does, and as rouge-score does', () => {
    const { words } = readGolden<{ words: [word: string, stem: string, token: string][] }>('porter.json')
    assert.equal(words.length, 782)
    for (const [word, stem, token] of words) {
      assert.equal(stemWord(word), stem, word)
      assert.equal(tokenizeForRouge(word, true)[0] ?? '', token, word)
    }
  })

  it('stems 2,701 made-up words, dense in y, double consonants and nested suffixes, as nltk does', () => {
    const { stems } = readGolden<{ stems: [word: string, stem: string][] }>('traps.json')
    assert.equal(stems.length, 2701)
    for (const [word, stem] of stems) assert.equal(stemWord(word), stem, word)
  })

  it('leaves cry to rouge-score, which stems only longer words', () => {
    assert.equal(stemWord('cry'), 'cri')
    assert.deepEqual(tokenizeForRouge('cry crying', true), ['cry', 'cri'])
  })
})
