// The tokenizer.json of a spiece.model, in the layout that transformers 5 saves for T5.
import { WORD_MARK } from '../words.js'
import { readVocabulary, type Piece, type SentencePieceVocabulary } from './vocabularyFile.js'

export interface SentencePieceOptions {
  /**
   * Sentinels that follow the file's pieces, `<extra_id_99>` first: T5's converter adds 100 (default), mT5's none, as its
   * file has them; tokenizer_config.json says it as `extra_ids`.
   */
  readonly extraIds?: number
}

/**
 * Converts the bytes of a spiece.model to a parsed tokenizer.json, as T5's converter does. Opened, it gives the ids of
 * Hugging Face's library, which differ from SentencePiece's on a few texts (`openSentencePiece` gives those).
 * Throws `tokenizer.invalid` and `tokenizer.unsupported`.
 * @param source where it came from, for messages.
 */
export function sentencePieceToTokenizerJson(
  bytes: Uint8Array,
  source = 'spiece.model',
  options: SentencePieceOptions = {},
): Record<string, unknown> {
  return toTokenizerJson(readVocabulary(bytes, source), options)
}

/** Names of the sentinels behind the pieces; none where the pieces hold them already. */
export function sentinelTokens(pieces: readonly Piece[], { extraIds }: SentencePieceOptions): string[] {
  const hasOwn = pieces.some(({ text }) => text.endsWith('<extra_id_0>'))
  const count = extraIds ?? (hasOwn ? 0 : 100)
  return Array.from({ length: count }, (_, i) => `<extra_id_${count - 1 - i}>`)
}

/** The tokenizer.json of a vocabulary that has been read. */
export function toTokenizerJson(
  { pieces, unkId, hasByteFallback, charsMapBytes }: SentencePieceVocabulary,
  options: SentencePieceOptions,
): Record<string, unknown> {
  const sentinels = sentinelTokens(pieces, options)
  const ids = new Map(pieces.map(({ text }, id) => [text, id]))
  const metaspace = { type: 'Metaspace', replacement: WORD_MARK, prepend_scheme: 'always', split: true }
  const byteDecoder = {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: WORD_MARK }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      { type: 'Strip', content: ' ', start: 1, stop: 0 },
    ],
  }
  const addedToken = (content: string, id: number, special: boolean) => {
    return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }
  }
  const added = pieces.flatMap(({ text, kind }, id) => {
    return kind === 'normal' || kind === 'byte' ? [] : [addedToken(text, id, kind !== 'user-defined')]
  })
  const endId = ids.get('</s>')
  const text = (id: string) => ({ Sequence: { id, type_id: 0 } })
  const end = { SpecialToken: { id: '</s>', type_id: 0 } }
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [...added, ...sentinels.map((content, i) => addedToken(content, pieces.length + i, true))],
    normalizer:
      charsMapBytes.length === 0
        ? null
        : { type: 'Precompiled', precompiled_charsmap: toBase64(charsMapBytes) },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, metaspace] },
    post_processor:
      endId === undefined
        ? null
        : {
            type: 'TemplateProcessing',
            single: [text('A'), end],
            pair: [text('A'), end, text('B'), end],
            special_tokens: { '</s>': { id: '</s>', ids: [endId], tokens: ['</s>'] } },
          },
    decoder: hasByteFallback ? byteDecoder : metaspace,
    model: {
      type: 'Unigram',
      unk_id: unkId,
      vocab: [...pieces.map(({ text, score }) => [text, score]), ...sentinels.map((name) => [name, 0])],
      byte_fallback: hasByteFallback,
    },
  }
}

function toBase64(bytes: Uint8Array): string {
  const chunks: string[] = []
  for (let i = 0; i < bytes.length; i += 8192) {
    chunks.push(String.fromCharCode(...bytes.subarray(i, i + 8192)))
  }
  return btoa(chunks.join(''))
}
