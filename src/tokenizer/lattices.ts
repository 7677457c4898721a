// Every way to cut words into candidate pieces, flattened into arrays that the passes of Unigram training run over.
import { MAX_PIECE_LENGTH, MAX_WORD_LENGTH, type Counted } from './vocabularyRules.js'

/** A word below this holds a character that is no piece (0), or is so improbable that dividing by it could overflow. */
const MIN_PROBABILITY = 1e-280

/** The arcs of word w are `first[w]` to `first[w + 1]`, by rising start; an arc is one piece from `start` to `end`. */
export interface Lattices {
  /** Index of each word's first arc; one more entry closes the last word. */
  readonly first: Int32Array
  /** Code units before the arc and up to its end. */
  readonly start: Uint8Array
  readonly end: Uint8Array
  /** Id of the arc's piece. */
  readonly piece: Int32Array
  /** Code units of each word (at most MAX_WORD_LENGTH). */
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

/** The lattices of words of at most MAX_WORD_LENGTH code units over the pieces of `ids`. */
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

/**
 * How often each piece is expected over all segmentations of all words, given each piece's probability (0 for one that is
 * not to be used): the forward-backward algorithm. Words that no segmentation covers count for nothing.
 */
export function expectedCounts(lattices: Lattices, probability: Float64Array): Float64Array {
  const { first, start, end, piece, length, count } = lattices
  const expected = new Float64Array(probability.length)
  const forward = new Float64Array(MAX_WORD_LENGTH + 1)
  const backward = new Float64Array(MAX_WORD_LENGTH + 1)
  for (let w = 0; w < count.length; w++) {
    const size = length[w]
    forward.fill(0, 0, size + 1)
    backward.fill(0, 0, size + 1)
    forward[0] = 1
    backward[size] = 1
    for (let a = first[w]; a < first[w + 1]; a++) {
      forward[end[a]] += forward[start[a]] * probability[piece[a]]
    }
    for (let a = first[w + 1] - 1; a >= first[w]; a--) {
      backward[start[a]] += backward[end[a]] * probability[piece[a]]
    }
    if (forward[size] < MIN_PROBABILITY) continue
    const scale = count[w] / forward[size]
    for (let a = first[w]; a < first[w + 1]; a++) {
      expected[piece[a]] += forward[start[a]] * probability[piece[a]] * backward[end[a]] * scale
    }
  }
  return expected
}

/**
 * How often each piece occurs in the best segmentations of all words, given each piece's log probability (-Infinity for one
 * that is not to be used): the Viterbi algorithm.
 */
export function bestCounts(lattices: Lattices, logProbability: Float64Array): Float64Array {
  const { first, start, end, piece, length, count } = lattices
  const used = new Float64Array(logProbability.length)
  const best = new Float64Array(MAX_WORD_LENGTH + 1)
  const via = new Int32Array(MAX_WORD_LENGTH + 1)
  for (let w = 0; w < count.length; w++) {
    best.fill(-Infinity, 0, length[w] + 1)
    best[0] = 0
    for (let a = first[w]; a < first[w + 1]; a++) {
      const score = best[start[a]] + logProbability[piece[a]]
      if (score > best[end[a]]) {
        best[end[a]] = score
        via[end[a]] = a
      }
    }
    if (best[length[w]] === -Infinity) continue
    for (let at: number = length[w]; at > 0; at = start[via[at]]) used[piece[via[at]]] += count[w]
  }
  return used
}
