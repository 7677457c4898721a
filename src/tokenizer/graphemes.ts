// Where grapheme clusters end (Unicode's extended clusters, UAX 29, rules GB3 to GB13), for the `tokenizers` library's
// Precompiled normaliser. Intl.Segmenter knows it, too, but in V8 it takes time that grows with the square of the text.
// Left out is what no replacement can tell: conjuncts (GB9c), and GB7's difference between syllables with and without tail.

const PREPEND =
  /[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\u{110bd}\u{110cd}\u{111c2}\u{111c3}\u{1193f}\u{11941}\u{11a3a}\u{11a84}-\u{11a89}\u{11d46}\u{11f02}]/u
/** Combining marks that stand apart, against the rule for their category. */
const APART =
  /[\u102b\u102c\u1038\u1062-\u1064\u1067-\u106d\u1083\u1087-\u108c\u108f\u109a-\u109c\u1a61\u1a63\u1a64\uaa7b\uaa7d\u{11720}\u{11721}]/u
const EXTEND = /[\p{Grapheme_Extend}\p{Emoji_Modifier}\p{Mc}\u200d\u0e33\u0eb3]/u
/** Controls, and what is reserved for more of them. */
const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u2065\ufff0-\ufff8\u{e0000}-\u{e0fff}]/u
const PICTOGRAPHIC = /\p{Extended_Pictographic}/u
/** Two characters that are one cluster by themselves: parts of Hangul syllables. */
const HANGUL_PAIR =
  /^(?:[\u1100-\u115f\ua960-\ua97c][\u1100-\u11a7\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7c6]|[\u1160-\u11a7\ud7b0-\ud7c6\uac00-\ud7a3][\u1160-\u11ff\ud7b0-\ud7fb]|[\u11a8-\u11ff\ud7cb-\ud7fb]{2})$/
const REGIONAL_PAIR = /^\p{RI}{2}$/u
const JOINER = '\u200d'

/** The end of the cluster that begins at a code unit. */
export function clusterEnd(text: string, start: number): number {
  const first = text.charCodeAt(start)
  const second = text.charCodeAt(start + 1)
  // Below U+0300 nothing extends a cluster.
  if (first < 0x300 && !(second >= 0x300)) return start + (first === 0x0d && second === 0x0a ? 2 : 1)
  let at = start
  let core = characterAt(text, at)
  while (PREPEND.test(core)) {
    at += core.length
    core = characterAt(text, at)
    if (core === '' || isControl(core)) return at
  }
  at += core.length
  if (isControl(core)) return at
  let next = characterAt(text, at)
  if (REGIONAL_PAIR.test(core + next)) {
    at += next.length
    next = characterAt(text, at)
  }
  for (let last = core; next !== ''; last = next, next = characterAt(text, at)) {
    const joins =
      isExtending(next) ||
      HANGUL_PAIR.test(last + next) ||
      (last === JOINER && PICTOGRAPHIC.test(core) && PICTOGRAPHIC.test(next))
    if (!joins) break
    at += next.length
  }
  return at
}

/** The character at a code unit; empty behind the end. */
function characterAt(text: string, at: number): string {
  return at < text.length ? String.fromCodePoint(text.codePointAt(at)!) : ''
}

function isExtending(character: string): boolean {
  return character >= '\u0300' && EXTEND.test(character) && !APART.test(character)
}

function isControl(character: string): boolean {
  return CONTROL.test(character) && !isExtending(character) && !PREPEND.test(character)
}
