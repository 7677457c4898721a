// Reads the tokenizers of test/golden/tokenizers and what the reference libraries make of texts with them.
import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { openTokenizer, type Tokenizer } from '../../src/tokenizer/index.js'

export const GOLDEN_NAMES = [
  'bpe-bytelevel',
  'bpe-metaspace',
  'trained-unigram',
  'trained-bpe',
  'unigram-t5',
  'unigram-t5-converter4',
  'unigram-bytes',
] as const
export type GoldenName = (typeof GOLDEN_NAMES)[number]

export interface GoldenCase {
  readonly text: string
  readonly ids: number[]
  readonly tokens: string[]
  readonly decodedSkip: string
  readonly decodedKeep: string
  /** What SentencePiece's own library makes of the text, where there is a spiece.model; ids only where they differ. */
  readonly sentencepieceIds?: number[]
  readonly sentencepieceTokens?: string[]
  readonly sentencepieceDecoded?: string
}

export interface GoldenCases {
  readonly meta: { readonly vocabSize: number; readonly disagree?: number }
  readonly cases: readonly GoldenCase[]
  readonly pairs: readonly { readonly text: string; readonly pair: string; readonly ids: number[] }[]
  readonly decode: readonly {
    readonly ids: number[]
    readonly decodedSkip: string
    readonly decodedKeep: string
  }[]
}

/** A part of a tokenizer.json that a test changes. */
export type JsonObject = Record<string, unknown>

/** A fresh copy of a parsed tokenizer.json. */
export function readGoldenJson(name: GoldenName): JsonObject {
  return JSON.parse(readBytes(`${name}/tokenizer.json`).toString()) as JsonObject
}

export function openGolden(name: GoldenName): Tokenizer {
  return openTokenizer(readGoldenJson(name), name)
}

export function readGoldenCases(name: GoldenName): GoldenCases {
  return JSON.parse(readBytes(`${name}/cases.json`).toString()) as GoldenCases
}

/** The bytes of a spiece.model. */
export function readGoldenModel(name: 'unigram-t5' | 'unigram-bytes' | 'tiny'): Uint8Array {
  return new Uint8Array(readBytes(`${name}/spiece.model`))
}

/** A random text and random ids with what both libraries make of them, by name of the tokenizer. */
export interface RandomCase {
  readonly text: string
  readonly ids: Readonly<Record<string, number[]>>
  readonly sentencepieceIds: Readonly<Record<string, number[]>>
  readonly toDecode: number[]
  readonly decoded: Readonly<Record<string, string>>
  readonly sentencepieceDecoded: Readonly<Record<string, string>>
}

export function readRandomCases(): RandomCase[] {
  return JSON.parse(readBytes('random.json').toString()) as RandomCase[]
}

/** The lines of corpus.txt. */
export function readCorpus(): string[] {
  return readBytes('corpus.txt').toString().split('\n')
}

/** The bytes of a golden file, which may be stored gzipped. */
export function readBytes(path: string): Buffer {
  const url = new URL(`../golden/tokenizers/${path}`, import.meta.url)
  return existsSync(url) ? readFileSync(url) : gunzipSync(readFileSync(`${url.pathname}.gz`))
}
