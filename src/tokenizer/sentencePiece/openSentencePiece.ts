// The Tokenizer from a spiece.model alone, with SentencePiece's own results, which differ from those of the tokenizer.json
// that Hugging Face makes of it: special tokens in a text are plain text, and replacements take the longest match.
import type { Arc } from '../bestPath.js'
import { byteOfPiece } from '../bytePieces.js'
import { CharsMap } from '../charsMap.js'
import { missingSpecialToken } from '../format.js'
import { PieceTrie } from '../pieceTrie.js'
import { Segmenter } from '../segmenter.js'
import { EOS_TOKENS, PAD_TOKENS, type DecodeOptions, type Tokenizer } from '../tokenizer.js'
import { WORD_MARK, makeWellFormed } from '../words.js'
import { sentinelTokens, toTokenizerJson, type SentencePieceOptions } from './toTokenizerJson.js'
import { normaliseForPieces } from './normalise.js'
import { readVocabulary, type SentencePieceVocabulary } from './vocabularyFile.js'

/**
 * Opens the bytes of a spiece.model. Ids equal SentencePiece's with `</s>` behind them; sentinels (`<extra_id_0>`), which
 * are not in the file, follow its pieces. `toJSON` gives the tokenizer.json of {@link sentencePieceToTokenizerJson}.
 * Throws `tokenizer.invalid`, `tokenizer.unsupported`, `tokenizer.missing-special-token`.
 * @param source where it came from, for messages.
 */
export function openSentencePiece(
  bytes: Uint8Array,
  source: string,
  options: SentencePieceOptions = {},
): Tokenizer {
  const vocabulary = readVocabulary(bytes, source)
  const { pieces, unkId } = vocabulary
  const texts = [...pieces.map(({ text }) => text), ...sentinelTokens(pieces, options)]
  const special = (role: string, candidates: readonly string[]): number => {
    const id = candidates.map((token) => texts.indexOf(token)).find((found) => found >= 0)
    if (id === undefined) throw missingSpecialToken(source, role, candidates)
    return id
  }
  const eosId = special('end', EOS_TOKENS)
  const encode = makeEncoder(vocabulary)
  const isHidden = (id: number): boolean => id >= pieces.length || pieces[id].kind === 'control'
  const shown = (ids: readonly number[], { skipSpecialTokens = true }: DecodeOptions = {}): number[] => {
    return ids.filter((id) => texts[id] !== undefined && !(skipSpecialTokens && isHidden(id)))
  }
  return {
    vocabSize: texts.length,
    padId: special('pad', PAD_TOKENS),
    eosId,
    unkId,
    encode: (text) => [...encode(makeWellFormed(text)), eosId],
    decode: (ids, decodeOptions) => decodePieces(shown(ids, decodeOptions), texts, vocabulary),
    endsInByte(ids, decodeOptions) {
      const last = shown(ids, decodeOptions).at(-1)
      return last !== undefined && pieces[last]?.kind === 'byte'
    },
    idToPiece: (id) => texts[id],
    toJSON: () => toTokenizerJson(vocabulary, options),
  }
}

/** What an unknown character costs beyond the worst piece. */
const UNKNOWN_PENALTY = 10
/** The highest score starts from C's FLT_MIN in SentencePiece, where the lowest positive number was hardly meant. */
const FLOAT32_MIN = 2 ** -126

/** Ids of a text, the sums in float32 as in SentencePiece, so that ties fall alike. */
function makeEncoder({ pieces, unkId, hasByteFallback, charsMapBytes }: SentencePieceVocabulary) {
  const idsOf = (...kinds: string[]) => [...pieces.keys()].filter((id) => kinds.includes(pieces[id].kind))
  const trieOf = (ids: readonly number[]) => new PieceTrie(ids.map((id) => [pieces[id].text, id]))
  const normal = idsOf('normal')
  const trie = trieOf(idsOf('normal', 'user-defined'))
  const tables = {
    charsMap: charsMapBytes.length > 0 ? new CharsMap(charsMapBytes) : undefined,
    userDefined: trieOf(idsOf('user-defined')),
  }
  const lowest = normal.reduce((score, id) => Math.min(score, pieces[id].score), Infinity)
  const highest = normal.reduce((score, id) => Math.max(score, pieces[id].score), FLOAT32_MIN)
  const scores = Float64Array.from(pieces, ({ text, score, kind }) => {
    return kind === 'user-defined' ? Math.fround(numBytes(text) * highest) - 0.1 : score
  })
  const unknownScore = Math.fround(lowest - UNKNOWN_PENALTY)
  const byteIds = new Map(idsOf('byte').map((id) => [byteOfPiece(pieces[id].text)!, id]))
  const segmenter = new Segmenter({ trie, scores, unkId, unknownScore }, Math.fround)
  return (text: string): number[] => {
    const normalised = normaliseForPieces(text, tables)
    const arcs = segmenter.segment(normalised)
    if (!hasByteFallback) return arcs.filter(isNotRepeated(unkId)).map(({ id }) => id)
    return arcs.flatMap(({ start, end, id }) => {
      if (id !== unkId) return id
      return Array.from(new TextEncoder().encode(normalised.slice(start, end)), (byte) => byteIds.get(byte)!)
    })
  }
}

/** Keeps of each run of unknown characters the first. */
function isNotRepeated(unkId: number): (arc: Arc, i: number, arcs: readonly Arc[]) => boolean {
  return ({ id }, i, arcs) => id !== unkId || arcs[i - 1]?.id !== unkId
}

function numBytes(text: string): number {
  return new TextEncoder().encode(text).length
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** SentencePiece's text of ids; those of special tokens are shown as they stand. */
function decodePieces(
  ids: readonly number[],
  texts: readonly string[],
  { pieces, unkId, unknownText }: SentencePieceVocabulary,
): string {
  let decoded = ''
  let bytes: number[] = []
  const endRun = (): void => {
    if (bytes.length > 0) decoded += decodeBytes(bytes)
    bytes = []
  }
  for (const id of ids) {
    const piece = texts[id]
    const kind = pieces[id]?.kind
    if (kind === 'byte') {
      bytes.push(byteOfPiece(piece)!)
      continue
    }
    endRun()
    if (id === unkId) decoded += unknownText
    else if (kind !== 'normal' && kind !== 'user-defined') decoded += piece
    else {
      const isStart = decoded === '' && piece.startsWith(WORD_MARK)
      decoded += (isStart ? piece.slice(1) : piece).replaceAll(WORD_MARK, ' ')
    }
  }
  endRun()
  return decoded
}

/** The characters of a run of bytes; each byte that is part of none becomes a replacement character. */
function decodeBytes(bytes: readonly number[]): string {
  let text = ''
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at]
    const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
    try {
      text += strictUtf8.decode(Uint8Array.from(bytes.slice(at, at + length)))
      at += length
    } catch {
      text += '\ufffd'
      at++
    }
  }
  return text
}
