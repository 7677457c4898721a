// What is looked at in a tokenizer.json before the library reads it: that it is one, and that it is made of parts which the
// library computes exactly. The others are refused, because ids that are almost right spoil a model without a word.
import { ShallowDeepError } from '../errors.js'

/** A part of the pipeline, or a sequence of such parts. */
export interface PipelinePart {
  readonly type: string
  readonly [key: string]: unknown
}

/** The checked outline of a tokenizer.json; missing parts are null. */
export interface TokenizerJson {
  readonly normalizer: PipelinePart | null
  readonly pre_tokenizer: PipelinePart | null
  readonly post_processor: PipelinePart | null
  readonly decoder: PipelinePart | null
  readonly added_tokens: readonly unknown[]
  readonly model: {
    readonly type: 'Unigram' | 'BPE'
    readonly unk_token?: unknown
    readonly unk_id?: unknown
  }
}

/** Parts that give the reference implementation's results, and the key under which a Sequence lists its parts. */
const EXACT_PARTS = {
  normalizer: { list: 'normalizers', types: ['NFC', 'NFD', 'NFKC', 'NFKD', 'Prepend', 'Replace'] },
  pre_tokenizer: { list: 'pretokenizers', types: ['ByteLevel', 'Metaspace'] },
  post_processor: { list: 'processors', types: ['ByteLevel', 'TemplateProcessing'] },
  decoder: { list: 'decoders', types: ['ByteLevel', 'Fuse', 'Metaspace', 'Replace', 'Strip'] },
} as const
const MODEL_TYPES = ['Unigram', 'BPE']

/**
 * Checks a parsed tokenizer.json and fills in the parts it leaves out. Throws `tokenizer.invalid` for what is none, and
 * `tokenizer.unsupported`, naming the part, for what would not be computed exactly.
 * @param source where it came from, for messages.
 */
export function checkTokenizerJson(json: unknown, source: string): TokenizerJson {
  if (!isObject(json)) throw invalidTokenizer(source, `expected an object, got ${describe(json)}`)
  const model = json.model
  if (!isObject(model))
    throw invalidTokenizer(source, `expected an object under model, got ${describe(model)}`)
  checkModel(model, source)
  for (const [kind, { list, types }] of Object.entries(EXACT_PARTS)) {
    checkPart({ kind, list, types, source }, json[kind] ?? null)
  }
  const addedTokens = json.added_tokens ?? []
  if (!Array.isArray(addedTokens) || !addedTokens.every(isAddedToken)) {
    throw invalidTokenizer(source, 'expected a list of tokens with id and content under added_tokens')
  }
  if (addedTokens.some((token) => token.single_word === true)) {
    throw unsupported(source, 'an added token that matches whole words only (single_word)')
  }
  const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null }
  return { ...parts, ...json, added_tokens: addedTokens, model: model as TokenizerJson['model'] }
}

/** The error for what is not a tokenizer.json, or a damaged one. */
export function invalidTokenizer(source: string, problem: string, cause?: unknown): ShallowDeepError {
  return new ShallowDeepError({
    code: 'tokenizer.invalid',
    message: `${source} is not a tokenizer.json: ${problem}`,
    hint: 'give a tokenizer.json in the Hugging Face format',
    details: { source },
    cause,
  })
}

function checkModel(model: Record<string, unknown>, source: string): void {
  const { type, vocab, merges } = model
  if (typeof type !== 'string') {
    throw invalidTokenizer(
      source,
      `expected ${MODEL_TYPES.join(' or ')} under model.type, got ${describe(type)}`,
    )
  }
  if (!MODEL_TYPES.includes(type)) {
    throw unsupported(source, `the model ${type} (supported: ${MODEL_TYPES.join(', ')})`)
  }
  if (model.byte_fallback === true) throw unsupported(source, 'byte fallback')
  if (type === 'Unigram') {
    if (!Array.isArray(vocab) || vocab.length === 0 || !vocab.every(isScoredPiece)) {
      throw invalidTokenizer(source, 'expected a list of [piece, score] under model.vocab')
    }
    if (!(Number.isInteger(model.unk_id) && vocab[model.unk_id as number])) {
      throw invalidTokenizer(
        source,
        `expected an index of model.vocab under model.unk_id, got ${describe(model.unk_id)}`,
      )
    }
    return
  }
  if (!isObject(vocab) || !Object.values(vocab).every(Number.isInteger)) {
    throw invalidTokenizer(source, 'expected an object of piece: id under model.vocab')
  }
  if (!Array.isArray(merges) || !merges.every(isMerge)) {
    throw invalidTokenizer(source, 'expected a list of pairs of pieces under model.merges')
  }
  if (model.dropout) throw unsupported(source, 'BPE dropout')
  if (model.continuing_subword_prefix) throw unsupported(source, 'a continuing_subword_prefix')
  if (model.end_of_word_suffix) throw unsupported(source, 'an end_of_word_suffix')
}

interface PartKind {
  readonly kind: string
  readonly list: string
  readonly types: readonly string[]
  readonly source: string
}

function checkPart(expected: PartKind, part: unknown): void {
  const { kind, list, types, source } = expected
  if (part === null) return
  if (!isObject(part) || typeof part.type !== 'string') {
    throw invalidTokenizer(source, `expected an object with a type under ${kind}, got ${describe(part)}`)
  }
  if (part.type === 'Sequence') {
    const inner = part[list]
    if (!Array.isArray(inner)) throw invalidTokenizer(source, `expected a list under ${kind}.${list}`)
    for (const element of inner) checkPart(expected, element)
  } else if (!types.includes(part.type)) {
    throw unsupported(source, `the ${kind} ${part.type} (supported: ${types.join(', ')})`)
  }
}

function unsupported(source: string, part: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'tokenizer.unsupported',
    message: `${source}: ${part} is not supported, because its ids would not be exactly the reference's`,
    hint: 'bring a tokenizer without that part, or train one with shallowdeep tokenizer train',
    details: { source, part },
  })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isScoredPiece(value: unknown): boolean {
  return Array.isArray(value) && typeof value[0] === 'string' && typeof value[1] === 'number'
}

function isMerge(value: unknown): boolean {
  return typeof value === 'string' || (Array.isArray(value) && value.length === 2)
}

function isAddedToken(value: unknown): value is Record<string, unknown> {
  return isObject(value) && typeof value.content === 'string' && Number.isInteger(value.id)
}

/** A value in a few characters, for messages. */
function describe(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
