// The Tokenizer over @huggingface/tokenizers, from a tokenizer.json.
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import { ShallowDeepError } from '../errors.js'
import type { Tokenizer } from './tokenizer.js'

/** The parts of a tokenizer.json that are looked at here; the library reads the rest. */
interface TokenizerJson {
  readonly model?: { readonly type?: string; readonly byte_fallback?: boolean }
  readonly normalizer?: unknown
  readonly decoder?: unknown
}

const KNOWN_MODELS = ['Unigram', 'BPE']
const SPECIAL_IDS = { padId: ['<pad>'], eosId: ['</s>', '<|endoftext|>'], unkId: ['<unk>', '<|endoftext|>'] }

/**
 * Opens a parsed tokenizer.json. Throws `tokenizer.invalid` for what is none, and `tokenizer.unsupported` for parts that
 * the library computes inexactly (Precompiled normalisers, byte fallback).
 * @param source where it came from, for messages.
 */
export function openTokenizer(json: unknown, source: string): Tokenizer {
  const config = checkJson(json, source)
  let library: LibraryTokenizer
  try {
    library = new LibraryTokenizer(config, { clean_up_tokenization_spaces: false })
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw invalid(source, `the tokenizer cannot be built from it: ${detail}`, cause)
  }
  const vocabulary = library.get_vocab(true)
  const idOf = (role: keyof typeof SPECIAL_IDS): number => {
    for (const token of SPECIAL_IDS[role]) {
      const id = library.token_to_id(token)
      if (id !== undefined) return id
    }
    return 0
  }
  return {
    vocabSize: Math.max(...vocabulary.values()) + 1,
    padId: idOf('padId'),
    eosId: idOf('eosId'),
    unkId: idOf('unkId'),
    encode: (text) => library.encode(text).ids,
    decode: (ids, { skipSpecialTokens = true } = {}) =>
      library.decode([...ids], {
        skip_special_tokens: skipSpecialTokens,
        clean_up_tokenization_spaces: false,
      }),
    idToPiece: (id) => library.id_to_token(id),
    toJSON: () => json,
  }
}

function checkJson(json: unknown, source: string): TokenizerJson {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw invalid(source, 'expected an object with a model')
  }
  const config = json as TokenizerJson
  const type = config.model?.type
  if (type === undefined || !KNOWN_MODELS.includes(type)) {
    throw invalid(
      source,
      `expected model.type to be one of ${KNOWN_MODELS.join(', ')}, got ${JSON.stringify(type)}`,
    )
  }
  const parts = JSON.stringify([config.normalizer, config.decoder])
  const inexact = parts.includes('"Precompiled"')
    ? 'a Precompiled normalizer'
    : config.model?.byte_fallback || parts.includes('"ByteFallback"')
      ? 'byte fallback'
      : undefined
  if (inexact) {
    throw new ShallowDeepError({
      code: 'tokenizer.unsupported',
      message: `${source}: ${inexact} is not supported, because its ids would not be exactly the reference's`,
      hint: 'train a tokenizer with shallowdeep tokenizer train, or bring one without that part',
      details: { source, part: inexact },
    })
  }
  return config
}

function invalid(source: string, problem: string, cause?: unknown): ShallowDeepError {
  return new ShallowDeepError({
    code: 'tokenizer.invalid',
    message: `${source} is not a usable tokenizer.json: ${problem}`,
    details: { source },
    cause,
  })
}
