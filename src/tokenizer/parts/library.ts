// The parts that are taken from @huggingface/tokenizers, with their types: its own declarations import each other without
// file endings, which TypeScript does not resolve for ES modules (version 0.2.0).
import * as library from '@huggingface/tokenizers'

interface LibraryParts {
  /** Byte-pair merges: pieces of words. Called with several words, it fuses unknown characters across them. */
  readonly BPE: new (config: {
    readonly type: 'BPE'
    readonly vocab: Readonly<Record<string, number>>
    readonly merges: readonly (readonly [string, string])[]
    readonly unk_token: string | null
    readonly fuse_unk: boolean
    readonly ignore_merges: boolean
  }) => (words: readonly string[]) => string[]
  /** Shows the bytes of words as GPT-2's characters. */
  readonly ByteLevelPreTokenizer: new (config: {
    readonly add_prefix_space: boolean
    readonly use_regex: boolean
  }) => (words: readonly string[]) => string[]
  /** Translates the reference's regular expressions (Oniguruma). Throws SyntaxError. */
  readonly ReplaceNormalizer: new (config: { readonly pattern: { readonly Regex: string } }) => {
    readonly pattern: RegExp
  }
  readonly FuseDecoder: new (config: object) => LibraryDecoder
  /** Takes off up to `start` characters before and `stop` behind each piece. */
  readonly StripDecoder: new (config: {
    readonly content: string
    readonly start: number
    readonly stop: number
  }) => LibraryDecoder
}

/** A decoder of the library. */
export interface LibraryDecoder {
  decode_chain(pieces: readonly string[]): string[]
}

export const { BPE, ByteLevelPreTokenizer, FuseDecoder, ReplaceNormalizer, StripDecoder } =
  library as unknown as LibraryParts
