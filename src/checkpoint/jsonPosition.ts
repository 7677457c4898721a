// Where a JSON text goes wrong. JSON.parse says it in some engines' messages and versions and not in others.

const TOKEN =
  /[{}[\]:,]|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
const BLANK = /[ \t\r\n]*/y

/** What may come next: a value, a value or `]`, a name, a name or `}`, a colon, or what follows a whole value. */
type Expected = 'value' | 'value-or-end' | 'name' | 'name-or-end' | 'colon' | 'after'

/** Line and column, counted from 1, of the first token at which `text` stops being JSON; undefined for valid JSON. */
export function findJsonError(text: string): { readonly line: number; readonly column: number } | undefined {
  const index = findErrorIndex(text)
  if (index === undefined) return undefined
  const lines = text.slice(0, index).split('\n')
  return { line: lines.length, column: lines[lines.length - 1].length + 1 }
}

function findErrorIndex(text: string): number | undefined {
  const open: ('{' | '[')[] = []
  let expected: Expected = 'value'
  for (let position = 0; ;) {
    BLANK.lastIndex = position
    BLANK.test(text)
    const start = BLANK.lastIndex
    if (start === text.length) return expected === 'after' && open.length === 0 ? undefined : start
    TOKEN.lastIndex = start
    const token: string | undefined = TOKEN.exec(text)?.[0]
    const next: Expected | undefined = token === undefined ? undefined : step(token, expected, open)
    if (token === undefined || next === undefined) return start
    expected = next
    position = start + token.length
  }
}

/** What is expected after `token`, or undefined where it may not stand. Keeps the stack of open brackets. */
function step(token: string, expected: Expected, open: ('{' | '[')[]): Expected | undefined {
  const inner = open.at(-1)
  switch (token[0]) {
    case '{':
    case '[':
      if (expected !== 'value' && expected !== 'value-or-end') return undefined
      open.push(token as '{' | '[')
      return token === '{' ? 'name-or-end' : 'value-or-end'
    case '}':
      if (inner !== '{' || (expected !== 'after' && expected !== 'name-or-end')) return undefined
      open.pop()
      return 'after'
    case ']':
      if (inner !== '[' || (expected !== 'after' && expected !== 'value-or-end')) return undefined
      open.pop()
      return 'after'
    case ':':
      return expected === 'colon' ? 'value' : undefined
    case ',':
      if (expected !== 'after' || inner === undefined) return undefined
      return inner === '{' ? 'name' : 'value'
    default:
      if (expected === 'value' || expected === 'value-or-end') return 'after'
      return token[0] === '"' && (expected === 'name' || expected === 'name-or-end') ? 'colon' : undefined
  }
}
