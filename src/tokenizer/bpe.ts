// Trains byte-pair encoding over characters (Sennrich et al. 2016): merges the most frequent pair of neighbours until the
// vocabulary is full. Pieces keep to one kind of character, as in Unigram training.
import {
  MAX_PIECE_LENGTH,
  MIN_PIECE_COUNT,
  isOneKind,
  requiredCharacters,
  tooLittleText,
  trainingWords,
  type VocabularyOptions,
} from './vocabularyRules.js'

/** Stands in a word for a character that is no piece; nothing merges with it. */
const UNKNOWN = -1

export interface BpeVocabulary {
  /** The characters by falling count, then the merged pieces in the order of their merges. */
  readonly pieces: readonly string[]
  /** Pairs of pieces, the first to be merged first. */
  readonly merges: readonly (readonly [left: string, right: string])[]
}

/**
 * Trains on distinct words (with their marks) and their counts. Deterministic: of equally frequent pairs the one whose
 * pieces are older comes first. Throws `tokenizer.too-few-pieces` where the characters alone exceed `numPieces`, and
 * `tokenizer.too-little-text` where no pair is left that occurs twice.
 */
export function trainBpe(words: ReadonlyMap<string, number>, options: VocabularyOptions): BpeVocabulary {
  const { numPieces } = options
  const pieces = requiredCharacters(words, options).map(([character]) => character)
  const ids = new Map(pieces.map((piece, id) => [piece, id]))
  const merges: [string, string][] = []
  const pairs = new Pairs(numPieces, (left, right) => {
    const merged = pieces[left] + pieces[right]
    return [...merged].length <= MAX_PIECE_LENGTH && isOneKind(merged)
  })
  for (const [word, count] of trainingWords(words)) {
    pairs.addWord(
      [...word].map((character) => ids.get(character) ?? UNKNOWN),
      count,
    )
  }
  while (pieces.length < numPieces) {
    const pair = pairs.mostFrequent()
    if (!pair) throw tooLittleText(numPieces, pieces.length)
    const [left, right] = pair
    merges.push([pieces[left], pieces[right]])
    // A piece arises in one way only: within it the same merges come in the same order wherever it stands.
    pairs.merge(left, right, pieces.push(pieces[left] + pieces[right]) - 1)
  }
  return { pieces, merges }
}

/** Words as ids of pieces, and the count of each pair of neighbours, kept up to date as pairs merge. */
class Pairs {
  private readonly words: number[][] = []
  private readonly wordCounts: number[] = []
  private readonly counts = new Map<number, number>()
  /** Words in which a pair has stood; it may have gone from them since. */
  private readonly places = new Map<number, Set<number>>()
  private readonly queue = new PairQueue()

  /** @param isAllowed whether two ids may become one piece. */
  constructor(
    private readonly numPieces: number,
    private readonly isAllowed: (left: number, right: number) => boolean,
  ) {}

  addWord(ids: number[], count: number): void {
    const changed = new Set<number>()
    this.words.push(ids)
    this.wordCounts.push(count)
    this.count(this.words.length - 1, 1, changed)
    this.enqueue(changed)
  }

  /** The most frequent pair that may merge, or undefined where none occurs often enough. */
  mostFrequent(): readonly [left: number, right: number] | undefined {
    for (;;) {
      const top = this.queue.pop()
      if (!top) return undefined
      const { key, count } = top
      // An entry is stale when its pair's count has changed since; a newer entry stands further down.
      if (count !== this.counts.get(key)) continue
      const left = Math.floor(key / this.numPieces)
      const right = key % this.numPieces
      if (this.isAllowed(left, right)) return [left, right]
    }
  }

  /** Replaces a pair by `id` wherever it stands. */
  merge(left: number, right: number, id: number): void {
    const key = this.key(left, right)
    const changed = new Set<number>()
    for (const word of this.places.get(key) ?? []) {
      const ids = this.words[word]
      this.count(word, -1, changed)
      const merged: number[] = []
      for (let i = 0; i < ids.length; i++) {
        const isPair = ids[i] === left && ids[i + 1] === right
        merged.push(isPair ? id : ids[i])
        if (isPair) i++
      }
      this.words[word] = merged
      this.count(word, 1, changed)
    }
    this.places.delete(key)
    this.counts.delete(key)
    changed.delete(key)
    this.enqueue(changed)
  }

  private key(left: number, right: number): number {
    return left * this.numPieces + right
  }

  private count(word: number, sign: 1 | -1, changed: Set<number>): void {
    const ids = this.words[word]
    for (let i = 0; i + 1 < ids.length; i++) {
      if (ids[i] === UNKNOWN || ids[i + 1] === UNKNOWN) continue
      const key = this.key(ids[i], ids[i + 1])
      this.counts.set(key, (this.counts.get(key) ?? 0) + sign * this.wordCounts[word])
      changed.add(key)
      if (sign < 0) continue
      const places = this.places.get(key)
      if (places) places.add(word)
      else this.places.set(key, new Set([word]))
    }
  }

  private enqueue(changed: Iterable<number>): void {
    for (const key of changed) {
      const count = this.counts.get(key)!
      if (count >= MIN_PIECE_COUNT) this.queue.push({ key, count })
    }
  }
}

interface QueuedPair {
  readonly key: number
  readonly count: number
}

/** A binary heap: the largest count first, the smaller key on ties. */
class PairQueue {
  private readonly heap: QueuedPair[] = []

  push(entry: QueuedPair): void {
    let at = this.heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(entry, this.heap[parent])) break
      this.heap[at] = this.heap[parent]
      at = parent
    }
    this.heap[at] = entry
  }

  pop(): QueuedPair | undefined {
    const top = this.heap[0]
    const last = this.heap.pop()
    if (!last || this.heap.length === 0) return top
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.heap.length) break
      if (child + 1 < this.heap.length && isBefore(this.heap[child + 1], this.heap[child])) child++
      if (!isBefore(this.heap[child], last)) break
      this.heap[at] = this.heap[child]
      at = child
    }
    this.heap[at] = last
    return top
  }
}

function isBefore(a: QueuedPair, b: QueuedPair): boolean {
  return a.count > b.count || (a.count === b.count && a.key < b.key)
}
