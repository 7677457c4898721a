// Damaged tokenizer files from small good ones, seeded: byte by byte, and value by value in parsed JSON.
import type { Random } from '../../src/random.js'
import { sentencePieceToTokenizerJson } from '../../src/tokenizer/index.js'
import { readGoldenJson, readGoldenModel, type JsonObject } from './golden.js'

/** Values that code is not ready for, at any place. */
const NASTY: readonly (() => unknown)[] = [
  () => null,
  () => -1,
  () => 0,
  () => 2 ** 31,
  () => 2 ** 53,
  () => 1e300,
  () => Infinity, // JSON.parse reads 1e999 as this
  () => 0.5,
  () => '',
  () => '__proto__',
  () => 'constructor',
  () => '\ud800',
  () => '▁',
  () => '<0x41>',
  () => '(a+)+$',
  () => '\\',
  () => 'x'.repeat(5000),
  () => [],
  () => ({}),
  () => true,
  () => false,
  () => nested(300),
  () => Array.from({ length: 300 }, () => ({ type: 'NFKC' })),
  () => ({ type: 'Replace', pattern: { String: 'a' }, content: 'aa' }),
  () => ({ type: 'Replace', pattern: { Regex: '(a|aa)+$' }, content: '' }),
  () => ({ type: 'Strip', strip_left: true, strip_right: true, content: 'a', start: 1e15, stop: 1e15 }),
  () => ({ type: 'ByteFallback' }),
  () => ({ type: 'Prepend', prepend: 'a'.repeat(256) }),
]

function nested(depth: number): unknown {
  let value: unknown = null
  for (let i = 0; i < depth; i++) {
    value = { type: 'Sequence', normalizers: [value], decoders: [value], pretokenizers: [value] }
  }
  return value
}

/** The files that are damaged: two Unigram layouts, one with byte fallback, and a BPE, cut small. */
export function smallJsons(): JsonObject[] {
  const unigram = sentencePieceToTokenizerJson(readGoldenModel('tiny'), 'tiny', { extraIds: 2 })
  const older = { ...unigram, normalizer: readOlderNormaliser(unigram), pre_tokenizer: unigram.decoder }
  const model = unigram.model as { vocab: [string, number][] }
  const bytes = Array.from({ length: 256 }, (_, byte) => {
    return [`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, -9] as [string, number]
  })
  const withBytes = {
    ...unigram,
    decoder: readGoldenJson('unigram-bytes').decoder,
    model: { ...model, vocab: [...model.vocab, ...bytes], byte_fallback: true },
  }
  const bpe = readGoldenJson('trained-bpe')
  const { vocab, merges } = bpe.model as { vocab: Record<string, number>; merges: [string, string][] }
  const kept = merges.slice(0, 20)
  const needed = new Set([...kept.flatMap(([a, b]) => [a, b, a + b]), '<pad>', '</s>', '<unk>'])
  const smallVocab = Object.fromEntries(Object.entries(vocab).filter(([piece]) => needed.has(piece)))
  return [
    unigram,
    older,
    withBytes,
    { ...bpe, model: { ...(bpe.model as JsonObject), vocab: smallVocab, merges: kept } },
  ]
}

function readOlderNormaliser({ normalizer }: JsonObject): unknown {
  const { normalizers } = readGoldenJson('unigram-t5-converter4').normalizer as { normalizers: unknown[] }
  return { type: 'Sequence', normalizers: [normalizer, ...normalizers.slice(1)] }
}

/** A copy of a parsed JSON with one to three values replaced, removed, repeated or swapped. */
export function damageJson(json: unknown, random: Random): unknown {
  const copy = structuredClone(json)
  for (let count = 1 + random.integer(3); count > 0; count--) {
    const places = [...placesOf(copy, 0)]
    if (places.length === 0) break
    // Long lists of pieces must not draw all the damage.
    const shallow = places.filter(({ depth }) => depth < 4)
    const pool = random.uniform() < 0.7 && shallow.length > 0 ? shallow : places
    const { holder, key } = pool[random.integer(pool.length)]
    const kind = random.integer(5)
    if (kind === 0) {
      if (Array.isArray(holder)) holder.splice(Number(key), 1)
      else delete holder[key]
    } else if (kind === 1) {
      const other = places[random.integer(places.length)]
      set(holder, key, structuredClone((other.holder as JsonObject)[other.key]))
    } else if (kind === 2 && !Array.isArray(holder)) {
      set(holder, NASTY_KEYS[random.integer(NASTY_KEYS.length)], holder[key])
    } else {
      set(holder, key, NASTY[random.integer(NASTY.length)]())
    }
  }
  return copy
}

const NASTY_KEYS = ['__proto__', 'constructor', 'toString', '', 'type', 'length']

/** As JSON.parse does, also for the key `__proto__`. */
function set(holder: JsonObject, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true })
}

function* placesOf(
  value: unknown,
  depth: number,
): Generator<{ holder: JsonObject; key: string; depth: number }> {
  if (typeof value !== 'object' || value === null || depth > 8) return
  for (const key of Object.keys(value)) {
    yield { holder: value as JsonObject, key, depth }
    yield* placesOf((value as JsonObject)[key], depth + 1)
  }
}

/** A copy of bytes with one to four of them changed, removed, repeated or put in, or the end cut off. */
export function damageBytes(bytes: Uint8Array, random: Random): Uint8Array {
  let copy = Uint8Array.from(bytes)
  for (let count = 1 + random.integer(4); count > 0 && copy.length > 0; count--) {
    const at = random.integer(copy.length)
    const kind = random.integer(6)
    if (kind === 0) copy[at] ^= 1 << random.integer(8)
    else if (kind === 1) copy[at] = random.integer(256)
    else if (kind === 2)
      copy = Uint8Array.of(...copy.subarray(0, at), ...copy.subarray(at + 1 + random.integer(8)))
    else if (kind === 3) {
      const part = copy.subarray(at, at + random.integer(40))
      copy = Uint8Array.of(...copy.subarray(0, at), ...part, ...copy.subarray(at))
    } else if (kind === 4) copy.fill(255, at, at + 5)
    else copy = copy.slice(0, at)
  }
  return copy
}
