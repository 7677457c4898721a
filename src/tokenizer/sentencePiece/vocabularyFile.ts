// Reads a SentencePiece model (spiece.model, a protobuf message) and checks that it is one of the kind that T5 and mT5 have:
// Unigram, white space normalised, a space before the text. Field numbers are those of sentencepiece_model.proto.
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import type { ShallowDeepError } from '../../errors.js'
import { byteOfPiece } from '../bytePieces.js'
import { CharsMap } from '../charsMap.js'
import { invalidTokenizer, unsupportedTokenizer } from '../format.js'
import { MAX_ID, MAX_SCORE, isPiece } from '../parts/models.js'

/** `unused` pieces are in no message that is accepted. */
export type PieceKind = 'normal' | 'unknown' | 'control' | 'user-defined' | 'byte'

/** A piece; its index is its id. */
export interface Piece {
  readonly text: string
  /** Natural log probability, a float32. */
  readonly score: number
  readonly kind: PieceKind
}

/** What a SentencePiece model says. */
export interface SentencePieceVocabulary {
  readonly pieces: readonly Piece[]
  readonly unkId: number
  /** Characters that are no piece are spelled in byte pieces. */
  readonly hasByteFallback: boolean
  /** The normaliser's table as it stands in the file; empty where nothing is replaced. */
  readonly charsMapBytes: Uint8Array
  /** What an unknown piece decodes to. */
  readonly unknownText: string
}

const KINDS = new Map<number, PieceKind>([
  [1, 'normal'],
  [2, 'unknown'],
  [3, 'control'],
  [4, 'user-defined'],
  [6, 'byte'],
])
const UNIGRAM = 1
const MAX_UNKNOWN_LENGTH = 256

/** Readers of the fields of a message; each is called with the reader at its value. */
type Fields = Readonly<Record<number, readonly [type: WireType, read: (reader: BinaryReader) => void]>>

/**
 * Reads the bytes of a spiece.model. Throws `tokenizer.invalid` for what is none or damaged, and `tokenizer.unsupported`
 * for other kinds of model.
 * @param source where it came from, for messages.
 */
export function readVocabulary(bytes: Uint8Array, source: string): SentencePieceVocabulary {
  let model: RawModel
  try {
    model = readModel(bytes)
    if (model.charsMapBytes.length > 0) new CharsMap(model.charsMapBytes)
  } catch (cause) {
    throw invalidModel(source, cause instanceof Error ? cause.message : String(cause), cause)
  }
  checkSpecs(model, source)
  const pieces = checkPieces(model, source)
  const unkId = pieces.findIndex(({ kind }) => kind === 'unknown')
  const { hasByteFallback, charsMapBytes, unknownText } = model
  return { pieces, unkId, hasByteFallback, charsMapBytes, unknownText }
}

/** The message as it stands, with its defaults. */
interface RawModel {
  readonly pieces: RawPiece[]
  modelType: number
  hasByteFallback: boolean
  unknownText: string
  charsMapBytes: Uint8Array
  /** White space is treated as T5 has it: one space before the text, runs joined, marked. */
  isSpaceBefore: boolean
  isSpaceKept: boolean
  hasDenormaliser: boolean
}

function readModel(bytes: Uint8Array): RawModel {
  const model: RawModel = {
    pieces: [],
    modelType: UNIGRAM,
    hasByteFallback: false,
    unknownText: ' ⁇ ',
    charsMapBytes: new Uint8Array(0),
    isSpaceBefore: true,
    isSpaceKept: false,
    hasDenormaliser: false,
  }
  const keepsSpace = varint((value) => (model.isSpaceKept ||= value === 0))
  const trainerSpec: Fields = {
    3: varint((value) => (model.modelType = value)),
    24: varint((value) => (model.isSpaceBefore = value === 0)), // treat_whitespace_as_suffix
    35: varint((value) => (model.hasByteFallback = value !== 0)),
    44: message((value) => (model.unknownText = utf8.decode(value))),
  }
  const normaliserSpec: Fields = {
    2: message((value) => (model.charsMapBytes = value)),
    3: keepsSpace, // add_dummy_prefix
    4: keepsSpace, // remove_extra_whitespaces
    5: keepsSpace, // escape_whitespaces
  }
  readMessage(bytes, {
    1: message((piece) => model.pieces.push(readPiece(piece))),
    2: message((spec) => readMessage(spec, trainerSpec)),
    3: message((spec) => readMessage(spec, normaliserSpec)),
    5: message((spec) =>
      readMessage(spec, { 2: message((value) => (model.hasDenormaliser ||= value.length > 0)) }),
    ),
  })
  return model
}

function checkSpecs(model: RawModel, source: string): void {
  const parts: [isThere: boolean, name: string][] = [
    [model.modelType !== UNIGRAM, `SentencePiece model type ${model.modelType}`],
    [!model.isSpaceBefore, 'a space behind words instead of before them'],
    [model.isSpaceKept, 'white space kept as it is (add_dummy_prefix or the like off)'],
    [model.hasDenormaliser, 'a denormaliser'],
  ]
  const [found] = parts.filter(([isThere]) => isThere)
  if (found) throw unsupportedTokenizer(source, found[1])
  if (model.unknownText.length > MAX_UNKNOWN_LENGTH) {
    throw invalidModel(source, `expected at most ${MAX_UNKNOWN_LENGTH} characters for an unknown piece`)
  }
}

/** The pieces, checked as SentencePiece does when it loads them, and for lengths and scores that can be computed with. */
function checkPieces({ pieces: raw, hasByteFallback }: RawModel, source: string): Piece[] {
  const demand = (isMet: boolean, expected: string): void => {
    if (!isMet) throw invalidModel(source, `expected ${expected}`)
  }
  demand(raw.length <= MAX_ID, `at most ${MAX_ID} pieces, got ${raw.length}`)
  const pieces = raw.map(({ text, score, kind: number }, id): Piece => {
    const kind = KINDS.get(number)
    if (kind === undefined) throw unsupportedTokenizer(source, `piece ${id} of type ${number}`)
    demand(text !== '' && isPiece(text), `a text of bounded length as piece ${id}`)
    demand(Math.abs(score) <= MAX_SCORE, `a number as the score of piece ${id}, got ${score}`)
    return { text, score, kind }
  })
  const ofKind = (kind: PieceKind) => pieces.filter((piece) => piece.kind === kind)
  demand(new Set(pieces.map(({ text }) => text)).size === pieces.length, 'pieces that differ')
  demand(ofKind('normal').length > 0, 'pieces, found none')
  demand(ofKind('unknown').length === 1, `one unknown piece, got ${ofKind('unknown').length}`)
  const bytes = ofKind('byte').map(({ text }) => byteOfPiece(text))
  const distinct = new Set(bytes.filter((byte) => byte !== undefined)).size
  const wanted = hasByteFallback ? 256 : 0
  demand(bytes.length === wanted && distinct === wanted, `${wanted} byte pieces, got ${bytes.length}`)
  return pieces
}

function invalidModel(source: string, problem: string, cause?: unknown): ShallowDeepError {
  return invalidTokenizer(source, problem, { cause, format: 'SentencePiece model' })
}

interface RawPiece {
  text: string
  score: number
  kind: number
}

function readPiece(bytes: Uint8Array): RawPiece {
  const piece = { text: '', score: 0, kind: 1 }
  readMessage(bytes, {
    1: message((value) => (piece.text = utf8.decode(value))),
    2: [WireType.Bit32, (reader) => (piece.score = reader.float())],
    3: varint((value) => (piece.kind = value)),
  })
  return piece
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function message(read: (bytes: Uint8Array) => void): Fields[number] {
  return [WireType.LengthDelimited, (reader) => read(reader.bytes())]
}

function varint(read: (value: number) => void): Fields[number] {
  return [WireType.Varint, (reader) => read(reader.int32())]
}

/** Reads the known fields of a message and passes over the others. Throws Error for what is no message. */
function readMessage(bytes: Uint8Array, fields: Fields): void {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag()
    const field = fields[number]
    if (field?.[0] === type) field[1](reader)
    else reader.skip(type, number)
  }
}
