// What JSON.parse lets pass and other readers of JSON take differently or refuse: names given twice, numbers that are not
// plain digits, lone surrogates. Two readers that disagree about a file is how a harmless-looking file hides a second
// meaning. All functions take valid JSON (JSON.parse has accepted it).

/** The first name that an object of `text` holds twice, at any depth, else undefined. */
export function findRepeatedName(text: string): string | undefined {
  const open: (Set<string> | undefined)[] = []
  for (let i = 0; i < text.length; i++) {
    const char = text[i]
    if (char === '{') open.push(new Set())
    else if (char === '[') open.push(undefined)
    else if (char === '}' || char === ']') open.pop()
    else if (char === '"') {
      const end = endOfString(text, i)
      const names = open.at(-1)
      if (names && isName(text, end)) {
        const name = JSON.parse(text.slice(i, end)) as string
        if (names.has(name)) return name
        names.add(name)
      }
      i = end - 1
    }
  }
  return undefined
}

const TOKEN = /"(?:[^"\\]|\\.)*"|[-\d][\d.eE+-]*/g

/**
 * The first number of `text` that is not plain digits, as it is written, else undefined. To JSON.parse `1e3`, `4.0` and
 * `-0` are whole numbers, to readers that know integers apart they are not.
 */
export function findUnplainNumber(text: string): string | undefined {
  for (const [token] of text.matchAll(TOKEN)) if (token[0] !== '"' && !/^\d+$/.test(token)) return token
  return undefined
}

/** The first string of `text` with half of a surrogate pair (`"\ud800"`), as it is written: no UTF-8 can hold it. */
export function findLoneSurrogate(text: string): string | undefined {
  if (!/\\u[dD][89a-fA-F]/.test(text)) return undefined
  for (const [token] of text.matchAll(TOKEN)) {
    if (token[0] === '"' && /\p{Surrogate}/u.test(JSON.parse(token) as string)) return token
  }
  return undefined
}

/** The index after the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let i = start + 1
  while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1
  return i + 1
}

/** Whether the string that ends before `end` is followed by a colon. */
function isName(text: string, end: number): boolean {
  let i = end
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\r' || text[i] === '\t') i++
  return text[i] === ':'
}
