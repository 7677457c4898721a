// What tokenizer.json calls the model: it cuts a word into pieces.
import { z } from 'zod'
import { pieceOfByte } from '../bytePieces.js'
import { describeValue, invalidTokenizer, isObject, unsupportedTokenizer } from '../format.js'
import { PieceTrie } from '../pieceTrie.js'
import { Segmenter } from '../segmenter.js'
import { BPE } from './library.js'

/** A vocabulary, and the cutting of words by it. */
export interface PieceModel {
  /** Every piece with its id; of equal pieces the last has the word. */
  readonly pieces: readonly (readonly [piece: string, id: number])[]
  /** Id of what is not in the vocabulary; undefined where the model has none. */
  readonly unkId: number | undefined
  /** Ids of a word that is not empty. */
  encode(word: string): number[]
}

const MODEL_TYPES = new Map([
  ['Unigram', makeUnigram],
  ['BPE', makeBpe],
])

/** Most code units of a piece, and largest id, that are believed. */
const MAX_PIECE_LENGTH = 1000
export const MAX_ID = (1 << 22) - 1

/** Makes the model. Throws `tokenizer.invalid`, and `tokenizer.unsupported` for what would not be exact. */
export function makeModel(json: unknown, source: string): PieceModel {
  if (!isObject(json))
    throw invalidTokenizer(source, `expected an object under model, got ${describeValue(json)}`)
  const { type } = json
  const types = [...MODEL_TYPES.keys()]
  if (typeof type !== 'string') {
    throw invalidTokenizer(
      source,
      `expected ${types.join(' or ')} under model.type, got ${describeValue(type)}`,
    )
  }
  const make = MODEL_TYPES.get(type)
  if (!make) throw unsupportedTokenizer(source, `the model ${type} (supported: ${types.join(', ')})`)
  return make(json, source)
}

type ModelJson = Readonly<Record<string, unknown>>

/** Largest score that is believed, up or down: sums of such scores stay numbers. */
export const MAX_SCORE = 1e9
/** What an unknown character costs beyond the worst piece. */
const UNKNOWN_PENALTY = 10

/**
 * The pieces with the highest sum of scores (Kudo 2018). The library's own has no byte fallback, and takes the lowest score
 * and its unknown pieces differently.
 */
function makeUnigram(json: ModelJson, source: string): PieceModel {
  const { vocab, unk_id: unkId } = json
  if (!Array.isArray(vocab) || vocab.length === 0 || vocab.length > MAX_ID || !vocab.every(isScoredPiece)) {
    throw invalidTokenizer(source, 'expected a list of [piece, score] under model.vocab')
  }
  if (typeof unkId !== 'number' || !Number.isInteger(unkId) || unkId < 0 || unkId >= vocab.length) {
    throw invalidTokenizer(
      source,
      `expected an index of model.vocab under model.unk_id, got ${describeValue(unkId)}`,
    )
  }
  const pieces = vocab.map(([piece], id) => [piece, id] as const)
  const ids = new Map(pieces)
  const scores = Float64Array.from(vocab, ([, score]) => score)
  const trie = new PieceTrie(pieces)
  const unknownScore = scores.reduce((lowest, score) => Math.min(lowest, score)) - UNKNOWN_PENALTY
  const bytePieces =
    json.byte_fallback === true ? Array.from({ length: 256 }, (_, i) => ids.get(pieceOfByte(i))) : []
  const segmenter = new Segmenter({ trie, scores, unkId, unknownScore })

  /** Ids of a text that may be no piece. */
  const spell = (text: string): number[] => {
    const known = ids.get(text)
    if (known !== undefined) return [known]
    const bytes = Array.from(new TextEncoder().encode(text), (byte) => bytePieces[byte])
    return bytes.includes(undefined) ? [unkId] : (bytes as number[])
  }
  return {
    pieces,
    unkId,
    encode(word) {
      const found: number[] = []
      let unknownStart = -1 // where a run of unknown characters began, which count as one
      for (const { start, end, id } of segmenter.segment(word)) {
        if (id === unkId) {
          if (unknownStart < 0) unknownStart = start
          if (end < word.length) continue
        }
        const unknownEnd = id === unkId ? end : start
        if (unknownStart >= 0)
          for (const known of spell(word.slice(unknownStart, unknownEnd))) found.push(known)
        unknownStart = -1
        if (id !== unkId) found.push(id)
      }
      return found
    },
  }
}

function isScoredPiece(value: unknown): value is readonly [string, number] {
  return (
    Array.isArray(value) &&
    isPiece(value[0]) &&
    typeof value[1] === 'number' &&
    Math.abs(value[1]) <= MAX_SCORE
  )
}

const LONE_SURROGATE = /\p{Surrogate}/u

/** Whether a value can be a piece: a text that UTF-8 can hold, and not overlong. */
export function isPiece(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_PIECE_LENGTH && !LONE_SURROGATE.test(value)
}

/** The library's, exact where words are given one by one: it fuses unknown characters over all that it is given. */
function makeBpe(json: ModelJson, source: string): PieceModel {
  const { vocab } = json
  if (!isObject(vocab) || !Object.values(vocab).every(isId) || !Object.keys(vocab).every(isPiece)) {
    throw invalidTokenizer(source, 'expected an object of piece: id under model.vocab')
  }
  const pieces = Object.entries(vocab) as [string, number][]
  const ids = new Map(pieces)
  if (new Set(ids.values()).size < ids.size) {
    throw invalidTokenizer(source, 'expected ids that differ under model.vocab')
  }
  const merges = mergesOf(json, ids, source)
  if (json.byte_fallback === true) throw unsupportedTokenizer(source, 'byte fallback in a BPE')
  if (json.dropout) throw unsupportedTokenizer(source, 'BPE dropout')
  if (json.continuing_subword_prefix) throw unsupportedTokenizer(source, 'a continuing_subword_prefix')
  if (json.end_of_word_suffix) throw unsupportedTokenizer(source, 'an end_of_word_suffix')
  const options = bpeSchema.safeParse(json)
  if (!options.success) {
    const [issue] = options.error.issues
    throw invalidTokenizer(source, `model.${issue.path.join('.')}: ${issue.message}`)
  }
  const { unk_token, fuse_unk, ignore_merges } = options.data
  const unkId = unk_token === null ? undefined : ids.get(unk_token)
  const library = new BPE({
    type: 'BPE',
    // The library needs ids without large gaps; only its pieces are looked at.
    vocab: Object.fromEntries(pieces.map(([piece], i) => [piece, i])),
    merges,
    unk_token: unkId === undefined ? null : unk_token,
    fuse_unk,
    ignore_merges,
  })
  return {
    pieces,
    unkId,
    encode: (word) => library([word]).map((piece) => ids.get(piece) ?? unkId!),
  }
}

const bpeSchema = z.object({
  unk_token: z
    .string()
    .nullish()
    .transform((token) => token ?? null),
  fuse_unk: z.boolean().default(false),
  ignore_merges: z.boolean().default(false),
})

/** The pairs to merge, in order; their pieces and what they make must be known, as in the reference. */
function mergesOf(
  { merges }: ModelJson,
  ids: ReadonlyMap<string, number>,
  source: string,
): [string, string][] {
  if (!Array.isArray(merges))
    throw invalidTokenizer(source, 'expected a list of pairs of pieces under model.merges')
  return merges.map((merge: unknown) => {
    const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge
    const isPair =
      Array.isArray(pair) && pair.length === 2 && pair.every((piece) => typeof piece === 'string')
    if (!isPair || ![...pair, pair.join('')].every((piece) => ids.has(piece))) {
      throw invalidTokenizer(
        source,
        `expected a list of pairs of pieces under model.merges, got ${describeValue(merge)}`,
      )
    }
    return pair as [string, string]
  })
}

/** Whether a value can be an id: an integer from 0 to MAX_ID. */
export function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_ID
}
