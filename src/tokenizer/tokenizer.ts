// What the rest of the project needs of a tokenizer.

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** Number of ids, special ones included. */
  readonly vocabSize: number
  readonly padId: number
  readonly eosId: number
  readonly unkId: number
  /** Token ids of a text, with what the tokenizer adds itself: `</s>` at the end where it has one. */
  encode(text: string): number[]
  /** Text of token ids. `skipSpecialTokens` (default true) leaves out `<pad>`, `</s>` and the like. */
  decode(ids: readonly number[], options?: { readonly skipSpecialTokens?: boolean }): string
  /** The piece of an id as the vocabulary writes it; undefined where there is none. */
  idToPiece(id: number): string | undefined
  /** The tokenizer.json it was opened from. */
  toJSON(): unknown
}
