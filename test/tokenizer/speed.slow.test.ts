// Encoding takes time in proportion to the text, with a vocabulary of T5's size; the speed is printed.
import assert from 'node:assert/strict'
import { Random } from '../../src/random.js'
import { openTokenizer, type Tokenizer } from '../../src/tokenizer/index.js'
import { readGoldenJson, type JsonObject } from './golden.js'

const VOCABULARY = 32_000

/** T5's layout with random pieces of up to 12 letters. */
function makeTokenizer(): Tokenizer {
  const random = new Random(5)
  const pieces = new Map<string, number>([...'▁abcdefghijklmnopqrstuvwxyz'].map((letter) => [letter, -8]))
  while (pieces.size < VOCABULARY) pieces.set(word(random, 12), -9 - random.uniform() * 4)
  const json = readGoldenJson('unigram-t5')
  const special = ['<pad>', '</s>', '<unk>'].map((token) => [token, 0])
  const model = { ...(json.model as JsonObject), vocab: [...special, ...pieces] }
  return openTokenizer({ ...json, added_tokens: [], model }, 'large')
}

function word(random: Random, maxLength: number): string {
  const letters = Array.from({ length: 1 + random.integer(maxLength) }, () => {
    return String.fromCharCode(97 + Math.floor(26 * random.uniform() ** 2))
  })
  return (random.uniform() < 0.4 ? '▁' : '') + letters.join('')
}

describe(`encoding with ${VOCABULARY} pieces`, () => {
  const tokenizer = makeTokenizer()
  const random = new Random(6)
  const words = Array.from({ length: 4000 }, () => word(random, 9).replace('▁', ''))
  const kinds: [name: string, text: (length: number) => string][] = [
    ['words', (length) => repeatTo(words.join(' '), length)],
    ['one word without spaces', (length) => repeatTo(words.join(''), length)],
    ['letters with accents that stand apart', (length) => repeatTo('e\u0301a\u0323o\u0308 ', length)],
    ['one character with accents without end', (length) => `a${repeatTo('\u0301', length)}`],
    ['unknown characters', (length) => repeatTo('ᚠ', length)],
    ['spaces', (length) => repeatTo(' ', length)],
  ]
  for (const [name, make] of kinds) {
    it(`is linear in the text: ${name}`, () => {
      const speedOf = (length: number): number => {
        const text = make(length)
        const start = performance.now()
        tokenizer.encode(text)
        return length / (performance.now() - start)
      }
      speedOf(50_000) // warms up
      const short = Math.max(speedOf(100_000), speedOf(100_000))
      const long = Math.max(speedOf(1_600_000), speedOf(1_600_000))
      console.log(`      ${(long / 1000).toFixed(1)} million characters a second`)
      // Time that grows with the square would make the long text 16 times slower a character.
      assert.ok(long > short / 4, `${short} and ${long} characters a millisecond`)
    })
  }
})

function repeatTo(text: string, length: number): string {
  return text.repeat(Math.ceil(length / text.length)).slice(0, length)
}
