// Reads what transformers' logits processors and generate() say (test/golden/decoding, made by
// scripts/golden/selection.py).
import { readFileSync } from 'node:fs'

function read(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`./decoding/${name}.json`, import.meta.url), 'utf8'))
}

/** Tokens that must not follow, by NoRepeatNGramLogitsProcessor. */
export interface BannedCase {
  readonly n: number
  /** Decoder tokens, the start token first. */
  readonly ids: number[]
  readonly banned: number[]
}

/** Outputs of generate() without repeated n-grams, on a checkpoint of the parity vectors. */
export interface NgramOutput {
  readonly checkpoint: string
  readonly source: number[]
  readonly n: number
  readonly max_new_tokens: number
  readonly greedy: number[]
  readonly beams: number[][]
  readonly scores: number[]
}

/** Probabilities after the warpers, null = off. */
export interface WarperCase {
  readonly temperature: number
  readonly top_k: number | null
  readonly top_p: number | null
  readonly logits: number[]
  readonly probabilities: number[]
  /** Tokens that can still be drawn. */
  readonly kept: number
}

export const ngramCases = read('no_repeat_ngram') as {
  readonly banned: BannedCase[]
  readonly outputs: NgramOutput[]
}

export const { cases: warperCases } = read('warpers') as { readonly cases: WarperCase[] }
