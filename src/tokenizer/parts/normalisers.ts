// What tokenizer.json calls normalizers: from a text to the text that is cut into words.
import { z } from 'zod'
import { ShallowDeepError } from '../../errors.js'
import { CharsMap } from '../charsMap.js'
import { clusterEnd } from '../graphemes.js'
import { definePart, type PartKind } from './part.js'
import { makeReplace, replaceSchema } from './replace.js'

export type Normaliser = (text: string) => string

const unicodeForm = (form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD') =>
  definePart(z.object({}), (): Normaliser => (text) => text.normalize(form))

/** The normalisers that give the reference's results. The library's own Precompiled is only near to it (NFKC). */
export const NORMALISERS: PartKind<Normaliser> = {
  key: 'normalizer',
  list: 'normalizers',
  types: new Map([
    ['NFC', unicodeForm('NFC')],
    ['NFD', unicodeForm('NFD')],
    ['NFKC', unicodeForm('NFKC')],
    ['NFKD', unicodeForm('NFKD')],
    ['Precompiled', definePart(z.object({ precompiled_charsmap: z.base64() }), makePrecompiled)],
    [
      'Prepend',
      definePart(z.object({ prepend: z.string().max(256) }), ({ prepend }): Normaliser => {
        return (text) => (text === '' ? '' : prepend + text)
      }),
    ],
    ['Replace', definePart(replaceSchema, makeReplace)],
    ['Strip', definePart(z.object({ strip_left: z.boolean(), strip_right: z.boolean() }), makeStrip)],
  ]),
}

/** Most code units that a text may grow to, per code unit and for a text of none. */
const MAX_GROWTH = 64
const MIN_LIMIT = 4096

/**
 * Applies normalisers one after the other. Throws `tokenizer.text-too-long` where the text becomes 64 times as long, which
 * only a tokenizer made for harm does.
 */
export function normalise(text: string, normalisers: readonly Normaliser[], source: string): string {
  let result = text
  for (const apply of normalisers) {
    result = apply(result)
    if (result.length > MIN_LIMIT && result.length > MAX_GROWTH * text.length) {
      throw new ShallowDeepError({
        code: 'tokenizer.text-too-long',
        message: `${source}: expected normalised text of at most ${MAX_GROWTH} times the text's ${text.length} code units, got ${result.length}`,
        hint: 'the tokenizer is damaged or was made to exhaust memory',
        details: { source, length: text.length, normalisedLength: result.length },
      })
    }
  }
  return result
}

/** A cluster of this many bytes or more is looked up character by character. */
const LONG_CLUSTER_BYTES = 6

/**
 * The reference's reading of SentencePiece's table: a short grapheme cluster becomes what its shortest known start becomes
 * (so fullwidth d with an accent loses the accent), a long or unknown one is looked up character by character.
 */
function makePrecompiled({ precompiled_charsmap }: { readonly precompiled_charsmap: string }): Normaliser {
  const map = new CharsMap(Uint8Array.from(atob(precompiled_charsmap), (byte) => byte.charCodeAt(0)))
  return (text) => {
    let result = ''
    let copied = 0 // code units of the text that are in the result, changed or not
    const replace = (start: number, end: number): boolean => {
      const found = map.find(text, start, end, 'shortest')
      if (!found) return false
      result += text.slice(copied, start) + found.text
      copied = end
      return true
    }
    for (let start = 0; start < text.length;) {
      const end = clusterEnd(text, start)
      if (numBytesBelow(LONG_CLUSTER_BYTES, text, start, end) && replace(start, end)) {
        start = end
        continue
      }
      while (start < end) {
        const next = start + (text.codePointAt(start)! > 0xffff ? 2 : 1)
        replace(start, next)
        start = next
      }
    }
    return result + text.slice(copied)
  }
}

/** Whether a part of a text has fewer bytes in UTF-8 than `limit`. */
function numBytesBelow(limit: number, text: string, start: number, end: number): boolean {
  let numBytes = 0
  for (let i = start; i < end && numBytes < limit; i++) {
    const unit = text.charCodeAt(i)
    const isHalf = unit >= 0xd800 && unit < 0xe000
    numBytes += unit < 0x80 ? 1 : unit < 0x800 || isHalf ? 2 : 3
  }
  return numBytes < limit
}

const LEADING_SPACE = /^\p{White_Space}+/u
const WHITE_SPACE = /\p{White_Space}/u

function makeStrip({ strip_left, strip_right }: { strip_left: boolean; strip_right: boolean }): Normaliser {
  return (text) => {
    const stripped = strip_left ? text.replace(LEADING_SPACE, '') : text
    let end = stripped.length
    if (strip_right) while (end > 0 && WHITE_SPACE.test(stripped[end - 1])) end--
    return stripped.slice(0, end)
  }
}
