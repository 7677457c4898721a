// White space and tokens as sacreBLEU 2.6 sees them: `13a` is mteval-v13a's tokenizer, `intl` mteval-v14's
// international one, `char` single characters. Python and JavaScript disagree on what white space is; everything
// here follows Python.

/** Tokenizers that BLEU offers. */
export type TextTokenizerName = '13a' | 'intl' | 'char'

/** Python's `str.isspace()`: unlike `\s` with U+001C..U+001F and U+0085, and without U+FEFF. */
const WHITE_SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'
const WHITE_SPACE_RUN = new RegExp(`[${WHITE_SPACE}]+`)
const WHITE_SPACE_CHARACTER = new RegExp(`[${WHITE_SPACE}]`)

/** The pieces between runs of white space, none of them empty (Python's `text.split()`). */
export function splitWhiteSpace(text: string): string[] {
  return text.split(WHITE_SPACE_RUN).filter((piece) => piece !== '')
}

/** The text without white space at its end (Python's `text.rstrip()`). */
export function stripRight(text: string): string {
  let end = text.length
  while (end > 0 && WHITE_SPACE_CHARACTER.test(text[end - 1])) end--
  return text.slice(0, end)
}

/** Tokens of a text by a named tokenizer, as sacreBLEU's BLEU sees them: white space at the end never counts. */
export function tokenizeText(text: string, tokenizer: TextTokenizerName): string[] {
  return splitWhiteSpace(TOKENIZERS[tokenizer](stripRight(text)))
}

/** Each turns a text into one whose tokens stand between white space. */
const TOKENIZERS: Readonly<Record<TextTokenizerName, (text: string) => string>> = {
  '13a': space13a,
  intl: spaceInternational,
  char: (text) => [...text].join(' '),
}

function space13a(text: string): string {
  let line = text.replaceAll('<skipped>', '').replaceAll('-\n', '').replaceAll('\n', ' ')
  // In this order: `&amp;lt;` becomes `<`.
  line = line
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
  return (
    ` ${line} `
      // ASCII punctuation except ' , - . which depend on their neighbours.
      .replace(/[{-~[-` -&(-+:-@/]/g, ' $& ')
      // Full stop and comma unless after a digit, then unless before one; hyphen after a digit.
      .replace(/([^0-9])([.,])/gu, '$1 $2 ')
      .replace(/([.,])([^0-9])/gu, ' $1 $2')
      .replace(/([0-9])(-)/g, '$1 $2 ')
  )
}

function spaceInternational(text: string): string {
  // Punctuation stays with a number on both sides of it (and, as in the original, at the end after a number).
  return text
    .replace(/(\P{N})(\p{P})/gu, '$1 $2 ')
    .replace(/(\p{P})(\P{N})/gu, ' $1 $2')
    .replace(/\p{S}/gu, ' $& ')
}
