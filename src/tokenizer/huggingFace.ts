// The Tokenizer over @huggingface/tokenizers, from a parsed tokenizer.json. What the library leaves inexact is set right
// here or refused in format.ts.
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers'
import { ShallowDeepError } from '../errors.js'
import { checkTokenizerJson, invalidTokenizer, type PipelinePart, type TokenizerJson } from './format.js'
import type { Tokenizer } from './tokenizer.js'

const PAD_TOKENS = ['<pad>', '[PAD]', '<|endoftext|>']
const EOS_TOKENS = ['</s>', '<eos>', '<|endoftext|>']

/**
 * Opens a parsed tokenizer.json. Throws `tokenizer.invalid` for what is none, `tokenizer.unsupported` for parts that would
 * not be computed exactly (Precompiled normalisers, byte fallback and others; the message names the part), and
 * `tokenizer.missing-special-token` where no pad or end token is known.
 * @param source where it came from, for messages.
 */
export function openTokenizer(json: unknown, source: string): Tokenizer {
  const checked = checkTokenizerJson(json, source)
  let library: LibraryTokenizer
  try {
    const config = { ...checked, pre_tokenizer: makeExact(checked.pre_tokenizer) }
    library = new LibraryTokenizer(config, { clean_up_tokenization_spaces: false })
    encodeWordByWord(library)
  } catch (cause) {
    throw invalidTokenizer(source, cause instanceof Error ? cause.message : String(cause), cause)
  }
  const special = (role: string, candidates: readonly string[]): number => {
    for (const token of candidates) {
      const id = library.token_to_id(token)
      if (id !== undefined) return id
    }
    throw new ShallowDeepError({
      code: 'tokenizer.missing-special-token',
      message: `${source}: expected a ${role} token (${candidates.join(' or ')}), found none`,
      hint: `add one of them to the tokenizer's added_tokens`,
      details: { source, role },
    })
  }
  const pieces = library.get_vocab(true)
  return {
    vocabSize: 1 + [...pieces.values()].reduce((largest, id) => Math.max(largest, id), -1),
    padId: special('pad', PAD_TOKENS),
    eosId: special('end', EOS_TOKENS),
    unkId: unknownId(checked, library),
    encode: (text) => library.encode(text).ids,
    decode(ids, { skipSpecialTokens = true } = {}) {
      const known = ids.filter((id) => library.id_to_token(id) !== undefined)
      // The library throws for an empty list.
      return known.length === 0 ? '' : library.decode(known, { skip_special_tokens: skipSpecialTokens })
    },
    idToPiece: (id) => library.id_to_token(id),
    toJSON: () => json,
  }
}

/** The library fuses unknown characters over the words of a text; the reference does so within a word only. */
function encodeWordByWord({ model }: LibraryTokenizer): void {
  if (!model) return
  const encodeWords = model._call.bind(model)
  model._call = (words: string[]) => words.flatMap((word) => encodeWords([word]))
}

function unknownId({ model }: TokenizerJson, library: LibraryTokenizer): number | undefined {
  if (model.type === 'Unigram') return model.unk_id as number
  return typeof model.unk_token === 'string' ? library.token_to_id(model.unk_token) : undefined
}

/** GPT-2's words, in the reference's regular expressions (its `\s` is Unicode's white space). */
const BYTE_LEVEL_WORDS = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

/**
 * The pre-tokeniser with the library's two inexact ones replaced by exact parts of it:
 * - Metaspace leaves a text in one part, whatever `split` says. The reference cuts it before each mark.
 * - ByteLevel takes JavaScript's `\s` for white space, which holds U+FEFF and not U+0085; the reference does the opposite.
 */
function makeExact(part: PipelinePart | null): PipelinePart | null {
  switch (part?.type) {
    case 'Sequence':
      return sequence(...(part.pretokenizers as PipelinePart[]).map((inner) => makeExact(inner)!))
    case 'Metaspace': {
      if (part.split === false) return part
      const code = ((part.replacement as string | undefined) ?? '▁').codePointAt(0)!
      const mark = `\\x{${code.toString(16)}}`
      return sequence(part, matches(`${mark}?[^${mark}]+|${mark}`))
    }
    case 'ByteLevel': {
      if (part.use_regex === false) return part
      const bytes = { ...part, add_prefix_space: false, use_regex: false }
      const prefix = { type: 'Replace', pattern: { Regex: String.raw`\A[^ ]` }, content: ' $&' }
      return sequence(...(part.add_prefix_space ? [prefix] : []), matches(BYTE_LEVEL_WORDS), bytes)
    }
    default:
      return part
  }
}

function sequence(...pretokenizers: PipelinePart[]): PipelinePart {
  return { type: 'Sequence', pretokenizers }
}

/** The parts of a text that match, in the library's words. */
function matches(Regex: string): PipelinePart {
  return { type: 'Split', pattern: { Regex }, invert: true }
}
