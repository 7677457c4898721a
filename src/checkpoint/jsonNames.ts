// Finds names that occur twice in one object of a JSON text. JSON.parse keeps the last of them in silence, and two
// readers that disagree about a file is how a harmless-looking file hides a second meaning.

/**
 * The first name that an object of `text` holds twice, at any depth, else undefined.
 * @param text must be valid JSON (JSON.parse has accepted it)
 */
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
