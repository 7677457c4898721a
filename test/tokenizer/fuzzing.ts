// What is asked of any damaged tokenizer file: an error with a code, or a tokenizer that works; soon, and in little memory.
import assert from 'node:assert/strict'
import { ShallowDeepError } from '../../src/errors.js'
import { Random } from '../../src/random.js'
import { openSentencePiece, openTokenizer, type Tokenizer } from '../../src/tokenizer/index.js'
import { readGoldenModel } from './golden.js'
import { damageBytes, damageJson, smallJsons } from './mutants.js'

const TEXTS = [
  '',
  'ba fib',
  'ﬁ ａ e\u0301\n\u3000a<sep>b',
  '☃☃ <extra_id_0></s>😀',
  'a'.repeat(300),
  ' \ud800 ',
]
/** A mutant that needs longer hangs, or nearly so, on two busy cores. */
const MAX_MS = 2000

/** Numbers of mutants that were refused and accepted. */
export interface FuzzCounts {
  refused: number
  accepted: number
}

/** Damages each of the small tokenizer.json files: values in them, and (every fifth) bytes of their text. */
export function fuzzJson(numMutants: number, seed: number): FuzzCounts {
  const jsons = smallJsons()
  const texts = jsons.map((json) => new TextEncoder().encode(JSON.stringify(json)))
  return fuzz(numMutants, seed, (random) => {
    const which = random.integer(jsons.length)
    if (random.integer(5) > 0) return openTokenizer(damageJson(jsons[which], random), 'mutant')
    let json: unknown
    try {
      json = JSON.parse(new TextDecoder().decode(damageBytes(texts[which], random)))
    } catch {
      return undefined // refused by JSON.parse, as readTokenizer reports it
    }
    return openTokenizer(json, 'mutant')
  })
}

/** Damages the bytes of a small spiece.model. */
export function fuzzSentencePiece(numMutants: number, seed: number): FuzzCounts {
  const bytes = readGoldenModel('tiny')
  return fuzz(numMutants, seed, (random) => openSentencePiece(damageBytes(bytes, random), 'mutant'))
}

function fuzz(numMutants: number, seed: number, open: (random: Random) => Tokenizer | undefined): FuzzCounts {
  const counts = { refused: 0, accepted: 0 }
  const root = new Random(seed)
  for (let i = 0; i < numMutants; i++) {
    const random = root.fork(i)
    const start = performance.now()
    try {
      const tokenizer = open(random)
      if (tokenizer) use(tokenizer, random)
      counts[tokenizer ? 'accepted' : 'refused']++
    } catch (error) {
      if (!(error instanceof ShallowDeepError))
        throw new Error(`mutant ${i} of seed ${seed}`, { cause: error })
      assert.match(error.code, /^tokenizer\./)
      assert.ok(error.message.length < 600 && !error.message.includes('\n'), error.message)
      counts.refused++
    }
    const elapsed = performance.now() - start
    assert.ok(elapsed < MAX_MS, `mutant ${i} of seed ${seed} took ${elapsed} ms`)
  }
  return counts
}

/** Encodes and decodes; ids must be ids. */
function use(tokenizer: Tokenizer, random: Random): void {
  for (const text of TEXTS) {
    const ids = tokenizer.encode(text)
    assert.ok(
      ids.every((id) => Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize),
      `${ids}`,
    )
    assert.equal(typeof tokenizer.decode(ids), 'string')
  }
  const ids = Array.from({ length: 20 }, () => random.integer(tokenizer.vocabSize + 2))
  assert.equal(typeof tokenizer.decode(ids, { skipSpecialTokens: false }), 'string')
  tokenizer.toJSON()
}
