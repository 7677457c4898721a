// Damaged tokenizer files in number, and memory while they are read.
import assert from 'node:assert/strict'
import { fuzzJson, fuzzSentencePiece } from './fuzzing.js'

describe('a damaged tokenizer file is refused with a code or works, in bounded memory', () => {
  for (const [name, fuzz] of [
    ['tokenizer.json', fuzzJson],
    ['spiece.model', fuzzSentencePiece],
  ] as const) {
    it(`${name}: 40,000 mutants`, () => {
      const before = process.memoryUsage().rss
      let accepted = 0
      for (let seed = 2; seed < 6; seed++) accepted += fuzz(10_000, seed).accepted
      const grown = (process.memoryUsage().rss - before) / 2 ** 20
      console.log(`      ${accepted} accepted, memory grew by ${grown.toFixed(0)} MiB`)
      assert.ok(grown < 512, `${grown} MiB`)
    })
  }
})
