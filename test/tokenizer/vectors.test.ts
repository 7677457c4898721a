// Ids, pieces and decoded texts against the reference library, exactly: two of its own tokenizers and two trained here.
import assert from 'node:assert/strict'
import { GOLDEN_NAMES, openGolden, readGoldenCases } from './golden.js'

for (const name of GOLDEN_NAMES) {
  describe(`tokenizer ${name}`, () => {
    const tokenizer = openGolden(name)
    const { meta, cases, pairs, decode } = readGoldenCases(name)

    it('has as many ids as the reference', () => assert.equal(tokenizer.vocabSize, meta.vocabSize))

    it(`gives the reference's ids and pieces for all ${cases.length} texts`, () => {
      assert.equal(cases.length, 439)
      for (const { text, ids, tokens } of cases) {
        const found = tokenizer.encode(text)
        assert.deepEqual(found, ids, JSON.stringify(text))
        // Where nothing is unknown; the reference too shows an unknown character as its own text.
        const pieces = found.map((id, i) => (id === tokenizer.unkId ? tokens[i] : tokenizer.idToPiece(id)))
        assert.deepEqual(pieces, tokens, JSON.stringify(text))
      }
    })

    it("gives the reference's text for its ids, special tokens left out or kept", () => {
      for (const { ids, decodedSkip, decodedKeep } of [...cases, ...decode]) {
        assert.equal(tokenizer.decode(ids), decodedSkip, JSON.stringify(ids))
        assert.equal(tokenizer.decode(ids, { skipSpecialTokens: false }), decodedKeep, JSON.stringify(ids))
      }
    })

    it(`gives the reference's ids for ${pairs.length} pairs, which are both texts' ids in a row`, () => {
      assert.equal(pairs.length, 25)
      for (const { text, pair, ids } of pairs) {
        assert.deepEqual([...tokenizer.encode(text), ...tokenizer.encode(pair)], ids)
      }
    })
  })
}
