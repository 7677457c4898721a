// What the rest of the project needs of a tokenizer.

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** Number of ids, special ones included: the largest id + 1. */
  readonly vocabSize: number
  readonly padId: number
  readonly eosId: number
  /** Id of a character that is not in the vocabulary; undefined where every text can be spelled (byte-level BPE). */
  readonly unkId: number | undefined
  /** Token ids of a text, with what the tokenizer adds itself: `</s>` at the end where it has one. */
  encode(text: string): number[]
  /**
   * Text of token ids; none gives the empty text. `skipSpecialTokens` (default true) leaves out `<pad>`, `</s>` and the
   * like. Ids beyond the vocabulary (models may have padded rows) are left out.
   */
  decode(ids: readonly number[], options?: DecodeOptions): string
  /**
   * Whether the last of the ids that have text is one byte of a character (byte fallback): what its run of bytes decodes to
   * is known when the run ends. Options as for `decode`.
   */
  endsInByte(ids: readonly number[], options?: DecodeOptions): boolean
  /** The piece of an id as the vocabulary writes it (`▁Haus`); undefined where there is none. */
  idToPiece(id: number): string | undefined
  /** The tokenizer.json it was opened from, parsed. */
  toJSON(): unknown
}

export interface DecodeOptions {
  /** Leaves out special tokens (default true). */
  readonly skipSpecialTokens?: boolean
}

/** Names of the tokens that models need, in the order in which they are looked for. */
export const PAD_TOKENS: readonly string[] = ['<pad>', '[PAD]', '<|endoftext|>']
export const EOS_TOKENS: readonly string[] = ['</s>', '<eos>', '<|endoftext|>']
