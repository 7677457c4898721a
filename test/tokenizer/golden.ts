// Reads the tokenizers of test/golden/tokenizers and what the reference library makes of texts with them.
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { openTokenizer, type Tokenizer } from '../../src/tokenizer/index.js'

export const GOLDEN_NAMES = ['bpe-bytelevel', 'bpe-metaspace', 'trained-unigram', 'trained-bpe'] as const
export type GoldenName = (typeof GOLDEN_NAMES)[number]

export interface GoldenCases {
  readonly meta: { readonly vocabSize: number }
  readonly cases: readonly {
    readonly text: string
    readonly ids: number[]
    readonly tokens: string[]
    readonly decodedSkip: string
    readonly decodedKeep: string
  }[]
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
  return JSON.parse(readText(`${name}/tokenizer.json`)) as JsonObject
}

export function openGolden(name: GoldenName): Tokenizer {
  return openTokenizer(readGoldenJson(name), name)
}

export function readGoldenCases(name: GoldenName): GoldenCases {
  return JSON.parse(gunzipSync(readFileSync(urlOf(`${name}/cases.json.gz`))).toString()) as GoldenCases
}

/** The lines of corpus.txt. */
export function readCorpus(): string[] {
  return readText('corpus.txt').split('\n')
}

function readText(path: string): string {
  return readFileSync(urlOf(path), 'utf8')
}

function urlOf(path: string): URL {
  return new URL(`../golden/tokenizers/${path}`, import.meta.url)
}
