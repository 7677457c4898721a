// A JSON parser for tests, written from RFC 8259 and independent of JSON.parse and of src/: it keeps repeated names, numbers
// as they are written, and refuses nesting beyond 127 and text that is no UTF-8, as the parser of the reference does.

/** A parsed value; numbers keep their text, objects their repeated names. */
export type StrictJson =
  | { readonly kind: 'object'; readonly members: readonly (readonly [string, StrictJson])[] }
  | { readonly kind: 'array'; readonly items: readonly StrictJson[] }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'word'; readonly value: boolean | null }

const MAX_DEPTH = 127
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

/** The value in `bytes`, or undefined where they are no JSON. */
export function parseStrictly(bytes: Uint8Array): StrictJson | undefined {
  const text = decodeUtf8(bytes)
  return text === undefined ? undefined : new Parser(text).parse()
}

/** The characters of UTF-8 bytes; undefined for overlong forms, surrogates, values beyond U+10FFFF and cut sequences. */
function decodeUtf8(bytes: Uint8Array): string | undefined {
  let text = ''
  for (let i = 0; i < bytes.length;) {
    const first = bytes[i++]
    const more =
      first < 0x80 ? 0 : first >>> 5 === 6 ? 1 : first >>> 4 === 14 ? 2 : first >>> 3 === 30 ? 3 : -1
    if (more < 0 || i + more > bytes.length) return undefined
    let code = more === 0 ? first : first & (0x3f >>> more)
    for (let k = 0; k < more; k++) {
      if (bytes[i] >>> 6 !== 2) return undefined
      code = (code << 6) | (bytes[i++] & 0x3f)
    }
    if (code < [0, 0x80, 0x800, 0x10000][more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
      return undefined
    text += String.fromCodePoint(code)
  }
  return text
}

class Parser {
  private at = 0

  constructor(private readonly text: string) {}

  parse(): StrictJson | undefined {
    const value = this.value(0)
    this.skipBlanks()
    return this.at === this.text.length ? value : undefined
  }

  private skipBlanks(): void {
    while (this.at < this.text.length && ' \t\n\r'.includes(this.text[this.at])) this.at++
  }

  private take(char: string): boolean {
    this.skipBlanks()
    if (this.text[this.at] !== char) return false
    this.at++
    return true
  }

  private value(depth: number): StrictJson | undefined {
    this.skipBlanks()
    const char = this.text[this.at]
    if (char === '{' || char === '[') {
      if (depth === MAX_DEPTH) return undefined
      this.at++
      return char === '{' ? this.object(depth + 1) : this.array(depth + 1)
    }
    if (char === '"') {
      const value = this.string()
      return value === undefined ? undefined : { kind: 'string', value }
    }
    for (const [word, value] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length
        return { kind: 'word', value }
      }
    }
    const number = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/.exec(
      this.text.slice(this.at, this.at + 400),
    )
    if (number === null) return undefined
    this.at += number[0].length
    return { kind: 'number', text: number[0] }
  }

  private object(depth: number): StrictJson | undefined {
    const members: [string, StrictJson][] = []
    if (this.take('}')) return { kind: 'object', members }
    do {
      this.skipBlanks()
      const name = this.string()
      if (name === undefined || !this.take(':')) return undefined
      const value = this.value(depth)
      if (value === undefined) return undefined
      members.push([name, value])
    } while (this.take(','))
    return this.take('}') ? { kind: 'object', members } : undefined
  }

  private array(depth: number): StrictJson | undefined {
    const items: StrictJson[] = []
    if (this.take(']')) return { kind: 'array', items }
    do {
      const value = this.value(depth)
      if (value === undefined) return undefined
      items.push(value)
    } while (this.take(','))
    return this.take(']') ? { kind: 'array', items } : undefined
  }

  private string(): string | undefined {
    if (this.text[this.at] !== '"') return undefined
    let value = ''
    for (this.at++; this.at < this.text.length;) {
      const char = this.text[this.at++]
      if (char === '"') return hasLoneSurrogate(value) ? undefined : value
      if (char < ' ') return undefined
      if (char !== '\\') {
        value += char
        continue
      }
      const escape = this.text[this.at++]
      if (escape === 'u') {
        const digits = this.text.slice(this.at, this.at + 4)
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) return undefined
        value += String.fromCharCode(Number.parseInt(digits, 16))
        this.at += 4
      } else if (escape !== undefined && escape in ESCAPES) value += ESCAPES[escape]
      else return undefined
    }
    return undefined
  }
}

function hasLoneSurrogate(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0xd800 || code > 0xdfff) continue
    const next = text.charCodeAt(i + 1)
    if (code > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return true
    i++
  }
  return false
}
