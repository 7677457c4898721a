// Damaged tokenizer files, a few thousand of them; fuzz.slow.test.ts tries more.
import assert from 'node:assert/strict'
import { fuzzJson, fuzzSentencePiece } from './fuzzing.js'

describe('a damaged tokenizer file is refused with a code or works', () => {
  for (const [name, fuzz] of [
    ['tokenizer.json', fuzzJson],
    ['spiece.model', fuzzSentencePiece],
  ] as const) {
    it(`${name}: 2,000 mutants`, () => {
      const { refused, accepted } = fuzz(2000, 1)
      assert.equal(refused + accepted, 2000)
      assert.ok(refused > 200 && accepted > 200, `${refused} refused, ${accepted} accepted`)
    })
  }
})
