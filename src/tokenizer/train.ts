// Trains a tokenizer and writes it in the Hugging Face tokenizer.json format, from parts that every reader of that
// format computes alike: NFKC, Replace, Metaspace; no byte fallback.
import { trainUnigram } from './unigram.js'

export interface TrainTokenizerOptions {
  readonly model: 'unigram'
  /** Size of the vocabulary, special tokens included. */
  readonly vocabSize: number
  /** Share of character occurrences that must be in the vocabulary; rarer characters become `<unk>`. */
  readonly characterCoverage?: number
}

const SPECIAL_TOKENS = ['<pad>', '</s>', '<unk>']
const UNK_ID = 2
const MARK = '▁'

/** Counts the words of texts as the trained tokenizer will split them: NFKC, runs of spaces as one, a mark before each. */
export async function countWords(
  texts: Iterable<string> | AsyncIterable<string>,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for await (const text of texts) {
    const spaced = text.normalize('NFKC').replace(/ {2,}/g, ' ')
    if (spaced === '') continue
    const marked = (spaced.startsWith(' ') ? '' : MARK) + spaced.replaceAll(' ', MARK)
    for (const word of marked.split(/(?=▁)/u)) counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  return counts
}

/**
 * Trains on texts and returns the parsed tokenizer.json: `<pad>` 0, `</s>` 1, `<unk>` 2, `</s>` appended to each text.
 * Deterministic. Throws `tokenizer.too-few-pieces`.
 */
export async function trainTokenizer(
  texts: Iterable<string> | AsyncIterable<string>,
  options: TrainTokenizerOptions,
): Promise<Record<string, unknown>> {
  const words = await countWords(texts)
  const pieces = trainUnigram(words, {
    numPieces: options.vocabSize - SPECIAL_TOKENS.length,
    characterCoverage: options.characterCoverage ?? 0.9995,
  })
  const special = SPECIAL_TOKENS.map((token) => [token, 0] as const)
  return wrapModel({ type: 'Unigram', unk_id: UNK_ID, vocab: [...special, ...pieces], byte_fallback: false })
}

/** The tokenizer.json around a trained model. */
function wrapModel(model: Record<string, unknown>): Record<string, unknown> {
  const metaspace = { type: 'Metaspace', replacement: MARK, prepend_scheme: 'always', split: true }
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
      normalizers: [{ type: 'NFKC' }, { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' }],
    },
    pre_tokenizer: metaspace,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '</s>', type_id: 0 } }],
      pair: [
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '</s>', type_id: 0 } },
        { Sequence: { id: 'B', type_id: 0 } },
        { SpecialToken: { id: '</s>', type_id: 0 } },
      ],
      special_tokens: { '</s>': { id: '</s>', ids: [1], tokens: ['</s>'] } },
    },
    decoder: metaspace,
    model,
  }
}
