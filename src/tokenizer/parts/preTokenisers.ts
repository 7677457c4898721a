// What tokenizer.json calls pre-tokenizers: from a normalised text to words, which the model cuts into pieces.
import { z } from 'zod'
import { ByteLevelPreTokenizer } from './library.js'
import { definePart, type PartKind } from './part.js'

/** A part of a text; at first the whole text, or what lies between two added tokens. */
export interface Word {
  readonly text: string
  /** Whether it begins where the whole text begins. */
  readonly isFirst: boolean
}

export type PreTokeniser = (words: readonly Word[]) => Word[]

const metaspaceSchema = z
  .object({
    replacement: z.string().refine((text) => [...text].length === 1, 'expected one character'),
    add_prefix_space: z.boolean().nullish(),
    prepend_scheme: z.enum(['always', 'first', 'never']).default('always'),
    split: z.boolean().nullish(),
  })
  .refine(
    ({ add_prefix_space, prepend_scheme }) => add_prefix_space !== false || prepend_scheme === 'never',
    'expected prepend_scheme never where add_prefix_space is false',
  )

const byteLevelSchema = z.object({
  add_prefix_space: z.boolean().default(true),
  use_regex: z.boolean().default(true),
})

/** The pre-tokenisers that give the reference's results. */
export const PRE_TOKENISERS: PartKind<PreTokeniser> = {
  key: 'pre_tokenizer',
  list: 'pretokenizers',
  types: new Map([
    ['ByteLevel', definePart(byteLevelSchema, makeByteLevel)],
    ['Metaspace', definePart(metaspaceSchema, makeMetaspace)],
    ['WhitespaceSplit', definePart(z.object({}), () => splitAtWhiteSpace)],
  ]),
}

/** The words of one section of a text. */
export function cutWords(section: Word, preTokenisers: readonly PreTokeniser[]): Word[] {
  return preTokenisers
    .reduce<Word[]>((words, apply) => apply(words).filter(({ text }) => text !== ''), [section])
    .filter(({ text }) => text !== '')
}

/** Parts of a word that follow each other, of which the first begins where the word begins. */
function cut({ isFirst }: Word, parts: readonly string[]): Word[] {
  return parts.map((text, i) => ({ text, isFirst: isFirst && i === 0 }))
}

/** Splits at Unicode's white space; JavaScript's `\s` has U+FEFF more and U+0085 less. */
function splitAtWhiteSpace(words: readonly Word[]): Word[] {
  return words.flatMap((word) => cut(word, word.text.split(/\p{White_Space}+/u)))
}

/** Marks take the place of spaces, one is put before a text, and each begins a word. */
function makeMetaspace({
  replacement: mark,
  prepend_scheme,
  split,
}: z.infer<typeof metaspaceSchema>): PreTokeniser {
  return (words) =>
    words.flatMap((word) => {
      const marked = word.text.replaceAll(' ', () => mark)
      const isPrepended = prepend_scheme === 'always' || (prepend_scheme === 'first' && word.isFirst)
      const text = isPrepended && marked !== '' && !marked.startsWith(mark) ? mark + marked : marked
      return cut(word, split === false ? [text] : splitBefore(text, mark))
    })
}

function splitBefore(text: string, mark: string): string[] {
  const parts: string[] = []
  let start = 0
  for (let at = text.indexOf(mark, 1); at > 0; at = text.indexOf(mark, at + 1)) {
    parts.push(text.slice(start, at))
    start = at
  }
  parts.push(text.slice(start))
  return parts
}

/** GPT-2's words; `\s` in the reference is Unicode's white space. */
const BYTE_LEVEL_WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu

/** Words whose bytes are shown as characters, in the library's table. */
function makeByteLevel({ add_prefix_space, use_regex }: z.infer<typeof byteLevelSchema>): PreTokeniser {
  const bytes = new ByteLevelPreTokenizer({ add_prefix_space: false, use_regex: false })
  return (words) =>
    words.flatMap((word) => {
      const text = add_prefix_space && !word.text.startsWith(' ') ? ` ${word.text}` : word.text
      const parts = use_regex ? (text.match(BYTE_LEVEL_WORDS) ?? []) : [text]
      return cut(word, bytes(parts))
    })
}
