// Tokens that are found in a text as they stand, before the model sees it: `</s>`, `<extra_id_0>` and their like.
import { describeValue, invalidTokenizer, isObject, unsupportedTokenizer } from './format.js'
import { isId } from './parts/models.js'
import type { Word } from './parts/preTokenisers.js'
import { PieceTrie } from './pieceTrie.js'

/** One entry of a tokenizer.json's added_tokens. */
export interface AddedToken {
  readonly id: number
  readonly content: string
  /** Left out of decoded text on demand. */
  readonly isSpecial: boolean
  /** Looked for in the normalised text, itself normalised, rather than in the text as it came. */
  readonly isNormalised: boolean
  /** Takes the white space before (after) it along. */
  readonly stripsLeft: boolean
  readonly stripsRight: boolean
}

/** Reads the list under added_tokens. Throws `tokenizer.invalid` and `tokenizer.unsupported`. */
export function readAddedTokens(json: unknown, source: string): AddedToken[] {
  if (json === undefined || json === null) return []
  if (!Array.isArray(json) || !json.every(isToken)) {
    throw invalidTokenizer(source, 'expected a list of tokens with id and content under added_tokens')
  }
  return json.map(({ id, content, ...token }) => {
    const flag = (key: string): boolean => {
      const value = token[key] ?? false
      if (typeof value === 'boolean') return value
      const found = describeValue(value)
      throw invalidTokenizer(source, `expected true or false under added_tokens, key ${key}, got ${found}`)
    }
    if (flag('single_word')) {
      throw unsupportedTokenizer(source, 'an added token that matches whole words only (single_word)')
    }
    const isSpecial = flag('special')
    const isNormalised = token.normalized === undefined ? !isSpecial : flag('normalized')
    return { id, content, isSpecial, isNormalised, stripsLeft: flag('lstrip'), stripsRight: flag('rstrip') }
  })
}

function isToken(value: unknown): value is { id: number; content: string; [key: string]: unknown } {
  return (
    isObject(value) && typeof value.content === 'string' && value.content.length <= 1000 && isId(value.id)
  )
}

const WHITE_SPACE = /\p{White_Space}/u

/** Cuts texts at added tokens: leftmost first, of those that begin together the longest. */
export class AddedTokenSplitter {
  private readonly trie: PieceTrie

  /** @param tokens with the text each is found as. */
  constructor(private readonly tokens: readonly (readonly [text: string, token: AddedToken])[]) {
    this.trie = new PieceTrie(tokens.map(([text], i) => [text, i]))
  }

  /** The ids of tokens that were found, and what lies between them, in order. */
  split({ text, isFirst }: Word): (Word | number)[] {
    const sections: (Word | number)[] = []
    if (this.tokens.length === 0) return text === '' ? [] : [{ text, isFirst }]
    let done = 0
    const addText = (end: number): void => {
      if (done < end) sections.push({ text: text.slice(done, end), isFirst: isFirst && done === 0 })
    }
    for (let at = 0; at < text.length;) {
      const found = this.trie.longestPrefix(text, at)
      if (!found) {
        at++
        continue
      }
      const [, token] = this.tokens[found.value]
      let start = at
      let end = found.end
      if (token.stripsLeft) while (start > done && WHITE_SPACE.test(text[start - 1])) start--
      if (token.stripsRight) while (end < text.length && WHITE_SPACE.test(text[end])) end++
      addText(start)
      sections.push(token.id)
      done = at = end
    }
    addText(text.length)
    return sections
  }
}
