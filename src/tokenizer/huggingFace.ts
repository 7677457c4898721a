// The Tokenizer from a parsed tokenizer.json: added tokens are found in the text; what lies between them is normalised, cut
// into words, and these into pieces; a template puts special tokens around. What each of those parts does stands in parts/,
// by @huggingface/tokenizers where that gives the reference's results, by own code where it does not.
import { AddedTokenSplitter, readAddedTokens, type AddedToken } from './addedTokens.js'
import { byteOfPiece } from './bytePieces.js'
import { describeValue, invalidTokenizer, isObject, missingSpecialToken } from './format.js'
import { DECODERS, joinsBytes } from './parts/decoders.js'
import { makeModel, type PieceModel } from './parts/models.js'
import { NORMALISERS, normalise } from './parts/normalisers.js'
import { buildParts } from './parts/part.js'
import { POST_PROCESSORS } from './parts/postProcessors.js'
import { PRE_TOKENISERS, cutWords } from './parts/preTokenisers.js'
import { EOS_TOKENS, PAD_TOKENS, type DecodeOptions, type Tokenizer } from './tokenizer.js'
import { makeWellFormed } from './words.js'

/**
 * Opens a parsed tokenizer.json. Throws `tokenizer.invalid` for what is none, `tokenizer.unsupported` for parts that would
 * not be computed exactly (the message names the part), and `tokenizer.missing-special-token` where no pad or end token is
 * known. Encoding throws `tokenizer.text-too-long` where a normaliser makes a text many times as long.
 * @param source where it came from, for messages.
 */
export function openTokenizer(json: unknown, source: string): Tokenizer {
  if (!isObject(json)) throw invalidTokenizer(source, `expected an object, got ${describeValue(json)}`)
  const model = makeModel(json.model, source)
  const normalisers = buildParts(NORMALISERS, json.normalizer, source)
  const preTokenisers = buildParts(PRE_TOKENISERS, json.pre_tokenizer, source)
  const postProcessors = buildParts(POST_PROCESSORS, json.post_processor, source)
  const decoders = buildParts(DECODERS, json.decoder, source)
  const hasDecoder = json.decoder !== null && json.decoder !== undefined
  const addedTokens = readAddedTokens(json.added_tokens, source)
  const { idOf, pieceOf } = joinVocabularies(model, addedTokens, source)
  const specialIds = new Set(addedTokens.filter(({ isSpecial }) => isSpecial).map(({ id }) => id))
  const asTheyStand = new AddedTokenSplitter(
    addedTokens.filter(({ isNormalised }) => !isNormalised).map((token) => [token.content, token]),
  )
  const normalised = new AddedTokenSplitter(
    addedTokens
      .filter(({ isNormalised }) => isNormalised)
      .map((token) => [normalise(token.content, normalisers, source), token]),
  )
  const special = (role: string, candidates: readonly string[]): number => {
    const token = candidates.find((candidate) => idOf.has(candidate))
    if (token === undefined) throw missingSpecialToken(source, role, candidates)
    return idOf.get(token)!
  }
  const encodeSection = (text: string, isFirst: boolean): number[] => {
    return normalised.split({ text: normalise(text, normalisers, source), isFirst }).flatMap((section) => {
      if (typeof section === 'number') return section
      return cutWords(section, preTokenisers).flatMap((word) => model.encode(word.text))
    })
  }
  const isShown = (id: number, { skipSpecialTokens = true }: DecodeOptions = {}): boolean => {
    return pieceOf.has(id) && !(skipSpecialTokens && specialIds.has(id))
  }
  return {
    vocabSize: 1 + [...pieceOf.keys()].reduce((largest, id) => Math.max(largest, id), -1),
    padId: special('pad', PAD_TOKENS),
    eosId: special('end', EOS_TOKENS),
    unkId: model.unkId,
    encode(text) {
      const ids = asTheyStand.split({ text: makeWellFormed(text), isFirst: true }).flatMap((section) => {
        return typeof section === 'number' ? section : encodeSection(section.text, section.isFirst)
      })
      return postProcessors.reduce<number[]>((all, apply) => apply(all), ids)
    },
    decode(ids, options) {
      const pieces = ids.filter((id) => isShown(id, options)).map((id) => pieceOf.get(id)!)
      if (!hasDecoder) return pieces.join(' ')
      return decoders.reduce<string[]>((parts, apply) => apply(parts), pieces).join('')
    },
    endsInByte(ids, options) {
      const last = joinsBytes(decoders) ? ids.findLast((id) => isShown(id, options)) : undefined
      return last !== undefined && byteOfPiece(pieceOf.get(last)!) !== undefined
    },
    idToPiece: (id) => pieceOf.get(id),
    toJSON: () => json,
  }
}

/** Ids by piece and pieces by id, added tokens included. Throws `tokenizer.invalid` where the two disagree. */
function joinVocabularies(
  model: PieceModel,
  addedTokens: readonly AddedToken[],
  source: string,
): { readonly idOf: ReadonlyMap<string, number>; readonly pieceOf: ReadonlyMap<number, string> } {
  const idOf = new Map(model.pieces)
  const pieceOf = new Map(model.pieces.map(([piece, id]) => [id, piece]))
  for (const { id, content } of addedTokens) {
    const knownId = idOf.get(content)
    const knownPiece = pieceOf.get(id)
    if ((knownId ?? id) !== id || (knownPiece ?? content) !== content) {
      throw invalidTokenizer(
        source,
        `expected one id a piece, got ${id} for the added token ${describeValue(content)}, which disagrees with the others`,
      )
    }
    idOf.set(content, id)
    pieceOf.set(id, content)
  }
  return { idOf, pieceOf }
}
