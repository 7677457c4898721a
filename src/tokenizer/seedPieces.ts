// The candidates that Unigram training starts from: substrings that occur more than once, found by growing them one
// character at a time, so that memory depends on the length of the text and not on its number of distinct substrings.
import { MAX_PIECE_LENGTH, MIN_PIECE_COUNT, isOneKind, type Counted } from './vocabularyRules.js'

const WORD_END = -1
const DEAD = -1

/** All words' characters in a row, each word followed by WORD_END. */
interface Characters {
  readonly alphabet: readonly string[]
  /** Index into `alphabet`, or WORD_END. */
  readonly codes: Int32Array
  /** Occurrences of the word at each place. */
  readonly weights: Float64Array
}

/** A substring by one place where it stands. */
interface Candidate {
  readonly at: number
  readonly length: number
  /** Occurrences times length: what it would save if each character cost the same. */
  readonly score: number
}

/** The `maxSeeds` best substrings of two or more characters with occurrences times length, by falling score. */
export function seedPieces(words: readonly Counted[], maxSeeds: number): Counted[] {
  const characters = flatten(words)
  // Sorting is stable and candidates come in the order of length and place, so ties are settled.
  const candidates = findRepeated(characters).sort((a, b) => b.score - a.score)
  const seeds: Counted[] = []
  for (const { at, length, score } of candidates) {
    if (seeds.length === maxSeeds) break
    let piece = ''
    for (let i = at; i < at + length; i++) piece += characters.alphabet[characters.codes[i]]
    if (isOneKind(piece)) seeds.push([piece, score])
  }
  return seeds
}

function flatten(words: readonly Counted[]): Characters {
  const size = words.reduce((sum, [word]) => sum + word.length + 1, 0)
  const codes = new Int32Array(size).fill(WORD_END)
  const weights = new Float64Array(size)
  const codeOf = new Map<string, number>()
  let at = 0
  for (const [word, count] of words) {
    for (const character of word) {
      let code = codeOf.get(character)
      if (code === undefined) codeOf.set(character, (code = codeOf.size))
      weights[at] = count
      codes[at++] = code
    }
    at++
  }
  return { alphabet: [...codeOf.keys()], codes: codes.subarray(0, at), weights }
}

/**
 * A substring of n + 1 characters is known by the number of its first n and by its last. Those that occur once are dropped
 * before they grow, which loses nothing: what contains them occurs once too.
 */
function findRepeated({ alphabet, codes, weights }: Characters): Candidate[] {
  const found: Candidate[] = []
  let ids = Int32Array.from(codes)
  for (let length = 2; length <= MAX_PIECE_LENGTH; length++) {
    const idOfKey = new Map<number, number>()
    const counts: number[] = []
    const firstAt: number[] = []
    const longer = new Int32Array(ids.length).fill(DEAD)
    for (let at = 0; at + length <= ids.length; at++) {
      const last = codes[at + length - 1]
      if (ids[at] === DEAD || last === WORD_END) continue
      const key = ids[at] * alphabet.length + last
      let id = idOfKey.get(key)
      if (id === undefined) {
        idOfKey.set(key, (id = counts.length))
        counts.push(0)
        firstAt.push(at)
      }
      counts[id] += weights[at]
      longer[at] = id
    }
    for (let at = 0; at < longer.length; at++) {
      if (longer[at] !== DEAD && counts[longer[at]] < MIN_PIECE_COUNT) longer[at] = DEAD
    }
    counts.forEach((count, id) => {
      if (count >= MIN_PIECE_COUNT) found.push({ at: firstAt[id], length, score: count * length })
    })
    ids = longer
  }
  return found
}
