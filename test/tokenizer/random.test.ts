// Random texts and ids against both reference libraries, exactly: what no hand-picked case thinks of.
import assert from 'node:assert/strict'
import { IncrementalDetokeniser, openSentencePiece, type Tokenizer } from '../../src/tokenizer/index.js'
import { openGolden, readGoldenModel, readRandomCases, type RandomCase } from './golden.js'

const CASES = readRandomCases()

function assertAgrees(
  tokenizer: Tokenizer,
  idsOf: (row: RandomCase) => number[],
  decodedOf: (row: RandomCase) => string,
): void {
  assert.equal(CASES.length, 1500)
  for (const row of CASES) {
    assert.deepEqual(tokenizer.encode(row.text), idsOf(row), JSON.stringify(row.text))
    const decoded = decodedOf(row)
    assert.equal(tokenizer.decode(row.toDecode), decoded, `${row.toDecode}`)
    const detokeniser = new IncrementalDetokeniser(tokenizer)
    assert.equal(row.toDecode.map((id) => detokeniser.push(id)).join('') + detokeniser.end(), decoded)
  }
}

describe('random texts and ids', () => {
  for (const name of ['unigram-t5', 'unigram-t5-converter4', 'unigram-bytes'] as const) {
    it(`are read by ${name}/tokenizer.json as by the tokenizers library`, () => {
      assertAgrees(
        openGolden(name),
        ({ ids }) => ids[name],
        ({ decoded }) => decoded[name],
      )
    })
  }
  for (const name of ['unigram-t5', 'unigram-bytes'] as const) {
    it(`are read by ${name}/spiece.model as by SentencePiece`, () => {
      assertAgrees(
        openSentencePiece(readGoldenModel(name), name),
        ({ sentencepieceIds }) => sentencepieceIds[name],
        ({ sentencepieceDecoded }) => sentencepieceDecoded[name],
      )
    })
  }
})
