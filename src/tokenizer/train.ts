// Trains a tokenizer and writes it in the Hugging Face tokenizer.json format, from parts that every reader of that format
// computes alike: NFKC, Replace, Metaspace, one end token; no Precompiled normaliser, no byte fallback.
import { ShallowDeepError } from '../errors.js'
import { trainBpe } from './bpe.js'
import { trainUnigram } from './unigram.js'
import { WORD_MARK, countWords } from './words.js'

export interface TrainTokenizerOptions {
  readonly model: 'unigram' | 'bpe'
  /** Size of the vocabulary, special tokens included; met exactly. */
  readonly vocabSize: number
  /**
   * Share of character occurrences (above 0, at most 1) whose characters are in the vocabulary; rarer ones become `<unk>`.
   * Default 0.9995, as in SentencePiece.
   */
  readonly characterCoverage?: number
}

const SPECIAL_TOKENS = ['<pad>', '</s>', '<unk>']
const UNK_ID = 2

/**
 * Trains on texts (each a sentence or more; all languages together for a joint vocabulary) and returns the parsed
 * tokenizer.json: `<pad>` 0, `</s>` 1, `<unk>` 2, `</s>` appended to each text. Deterministic; the order of the texts does
 * not matter. Throws `tokenizer.bad-option`, `tokenizer.too-few-pieces`, `tokenizer.too-little-text`.
 */
export async function trainTokenizer(
  texts: Iterable<string> | AsyncIterable<string>,
  options: TrainTokenizerOptions,
): Promise<Record<string, unknown>> {
  const { model, vocabSize, characterCoverage = 0.9995 } = options
  checkOption('vocabSize', vocabSize, `an integer above ${SPECIAL_TOKENS.length}`, (size) => {
    return Number.isInteger(size) && size > SPECIAL_TOKENS.length
  })
  checkOption('characterCoverage', characterCoverage, 'a number above 0 and at most 1', (share) => {
    return share > 0 && share <= 1
  })
  checkOption('model', model, 'unigram or bpe', (name) => name === 'unigram' || name === 'bpe')
  const words = await countWords(texts)
  const vocabulary = { numPieces: vocabSize - SPECIAL_TOKENS.length, characterCoverage }
  if (model === 'unigram') {
    const special = SPECIAL_TOKENS.map((token) => [token, 0] as const)
    const vocab = [...special, ...trainUnigram(words, vocabulary)]
    return wrapModel({ type: 'Unigram', unk_id: UNK_ID, vocab, byte_fallback: false })
  }
  const { pieces, merges } = trainBpe(words, vocabulary)
  return wrapModel({
    type: 'BPE',
    dropout: null,
    unk_token: SPECIAL_TOKENS[UNK_ID],
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: true,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries([...SPECIAL_TOKENS, ...pieces].map((piece, id) => [piece, id])),
    merges,
  })
}

function checkOption<T>(name: string, value: T, expected: string, isGood: (value: T) => boolean): void {
  if (isGood(value)) return
  throw new ShallowDeepError({
    code: 'tokenizer.bad-option',
    message: `${name}: expected ${expected}, got ${JSON.stringify(value)}`,
    details: { name, value },
  })
}

/** The tokenizer.json around a trained model. Its normaliser and pre-tokeniser are what words.ts does. */
function wrapModel(model: Record<string, unknown>): Record<string, unknown> {
  const metaspace = { type: 'Metaspace', replacement: WORD_MARK, prepend_scheme: 'always', split: true }
  const sequence = (id: string) => ({ Sequence: { id, type_id: 0 } })
  const end = { SpecialToken: { id: '</s>', type_id: 0 } }
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'NFKC' },
        { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
        { type: 'Replace', pattern: { Regex: '^ | $' }, content: '' },
      ],
    },
    pre_tokenizer: metaspace,
    post_processor: {
      type: 'TemplateProcessing',
      single: [sequence('A'), end],
      pair: [sequence('A'), end, sequence('B'), end],
      special_tokens: { '</s>': { id: '</s>', ids: [1], tokens: ['</s>'] } },
    },
    decoder: metaspace,
    model,
  }
}
