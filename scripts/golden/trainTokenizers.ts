// Trains the tokenizers of test/golden/tokenizers/trained-* on that folder's corpus.txt. scripts/golden/tokenizer_vectors.py then
// writes what the reference library makes of them.
// Run: npx tsx scripts/golden/trainTokenizers.ts
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { trainTokenizer } from '../../src/tokenizer/index.js'

const root = new URL('../../test/golden/tokenizers/', import.meta.url)
const lines = readFileSync(new URL('corpus.txt', root), 'utf8').split('\n')
for (const model of ['unigram', 'bpe'] as const) {
  const folder = new URL(`trained-${model}/`, root)
  mkdirSync(folder, { recursive: true })
  const json = await trainTokenizer(lines, { model, vocabSize: 700, characterCoverage: 0.985 })
  writeFileSync(new URL('tokenizer.json', folder), `${JSON.stringify(json)}\n`)
}
