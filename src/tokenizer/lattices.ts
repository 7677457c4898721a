// Every way to cut words into candidate pieces, flattened into arrays that the passes of Unigram training run over.
import { MAX_PIECE_LENGTH, type Counted } from './vocabularyRules.js'

/** The arcs of word w are `first[w]` to `first[w + 1]`, by rising start; an arc is one piece from `start` to `end`. */
export interface Lattices {
  /** Index of each word's first arc; one more entry closes the last word. */
  readonly first: Int32Array
  /** Code units before the arc and up to its end. */
  readonly start: Uint8Array
  readonly end: Uint8Array
  /** Id of the arc's piece. */
  readonly piece: Int32Array
  /** Code units of each word (at most 255). */
  readonly length: Uint8Array
  /** Occurrences of each word. */
  readonly count: Float64Array
}

/** Every substring of up to MAX_PIECE_LENGTH characters as [start, end) in code units, never cutting a pair in two. */
export function forEachSubstring(word: string, visit: (start: number, end: number) => void): void {
  const bounds: number[] = []
  for (let i = 0; i < word.length; i += word.codePointAt(i)! > 0xffff ? 2 : 1) bounds.push(i)
  bounds.push(word.length)
  for (let i = 0; i + 1 < bounds.length; i++) {
    const last = Math.min(bounds.length - 1, i + MAX_PIECE_LENGTH)
    for (let j = i + 1; j <= last; j++) visit(bounds[i], bounds[j])
  }
}

/** The lattices of words of at most 255 code units over the pieces of `ids`. */
export function buildLattices(words: readonly Counted[], ids: ReadonlyMap<string, number>): Lattices {
  const first = new Int32Array(words.length + 1)
  let size = 1024
  let start = new Uint8Array(size)
  let end = new Uint8Array(size)
  let piece = new Int32Array(size)
  let numArcs = 0
  words.forEach(([word], w) => {
    forEachSubstring(word, (from, to) => {
      const id = ids.get(word.slice(from, to))
      if (id === undefined) return
      if (numArcs === size) {
        size *= 2
        start = grow(start, new Uint8Array(size))
        end = grow(end, new Uint8Array(size))
        piece = grow(piece, new Int32Array(size))
      }
      start[numArcs] = from
      end[numArcs] = to
      piece[numArcs++] = id
    })
    first[w + 1] = numArcs
  })
  return {
    first,
    start,
    end,
    piece,
    length: Uint8Array.from(words, ([word]) => word.length),
    count: Float64Array.from(words, ([, count]) => count),
  }
}

function grow<A extends Uint8Array | Int32Array>(from: A, to: A): A {
  to.set(from)
  return to
}
