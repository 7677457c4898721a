// Trains a Unigram vocabulary (Kudo 2018, as SentencePiece does it): many candidate pieces, expectation maximisation of
// their probabilities over word counts, pruning by what the likelihood loses, until the wanted size is left.
import { ShallowDeepError } from '../errors.js'

export interface UnigramOptions {
  /** Pieces to end with, special ones not counted. */
  readonly numPieces: number
  /** Share of character occurrences whose characters become pieces; rarer characters are unknown. */
  readonly characterCoverage: number
}

/** A piece and its natural log probability. */
export type ScoredPiece = readonly [piece: string, score: number]

const MAX_PIECE_LENGTH = 16
const MAX_SEEDS = 200_000
const SHRINK_FACTOR = 0.75
const EM_STEPS = 2
/** Longer words (addresses and the like) give no pieces. */
const MAX_WORD_LENGTH = 48
/** Letters, digits and signs do not mix in a piece (SentencePiece's split by script and by number). */
const ONE_KIND = /^▁?(?:[\p{L}\p{M}]*|\p{N}*|[^\p{L}\p{M}\p{N}▁]*)$/u
/** Expected counts below this are dropped in the M step, as SentencePiece does. */
const MIN_EXPECTED_COUNT = 0.5

/**
 * Trains on distinct words (with their word-boundary mark) and their counts. Deterministic. Returns the pieces by falling
 * score. Throws `tokenizer.too-few-pieces` when the text cannot give, or the alphabet alone exceeds, `numPieces`.
 */
export function trainUnigram(words: ReadonlyMap<string, number>, options: UnigramOptions): ScoredPiece[] {
  const required = requiredCharacters(words, options.characterCoverage)
  if (required.size > options.numPieces) {
    throw new ShallowDeepError({
      code: 'tokenizer.too-few-pieces',
      message: `the alphabet alone has ${required.size} characters, but only ${options.numPieces} pieces are wanted`,
      hint: 'raise the vocabulary size or lower the character coverage',
    })
  }
  const model = new Candidates(words, required)
  // SentencePiece prunes to a tenth more than wanted and lets the final cut by score take the rest.
  const pruneTo = Math.floor(options.numPieces * 1.1)
  for (;;) {
    for (let step = 0; step < EM_STEPS; step++) model.maximise(model.expectedCounts())
    if (model.numAlive <= pruneTo) break
    model.prune(Math.max(pruneTo, Math.floor(model.numAlive * SHRINK_FACTOR)))
  }
  const pieces = model.finalPieces(options.numPieces)
  if (pieces.length < options.numPieces) {
    throw new ShallowDeepError({
      code: 'tokenizer.too-few-pieces',
      message: `the text gives ${pieces.length} pieces, but ${options.numPieces} are wanted`,
      hint: 'lower the vocabulary size or train on more text',
    })
  }
  return pieces
}

/** The most frequent characters that together make up `coverage` of all occurrences, with their counts. */
function requiredCharacters(words: ReadonlyMap<string, number>, coverage: number): Map<string, number> {
  const counts = new Map<string, number>()
  let total = 0
  for (const [word, count] of words) {
    for (const character of word) {
      counts.set(character, (counts.get(character) ?? 0) + count)
      total += count
    }
  }
  const required = new Map<string, number>()
  let covered = 0
  for (const [character, count] of [...counts].sort(byFallingNumberThenText)) {
    if (covered >= coverage * total) break
    required.set(character, count)
    covered += count
  }
  return required
}

function byFallingNumberThenText(a: readonly [string, number], b: readonly [string, number]): number {
  return b[1] - a[1] || (a[0] < b[0] ? -1 : 1)
}

/** Every substring of up to MAX_PIECE_LENGTH characters as [start, end) in code units, never cutting a pair in two. */
function forEachSubstring(word: string, visit: (start: number, end: number) => void): void {
  const bounds: number[] = []
  for (let i = 0; i < word.length; i += word.codePointAt(i)! > 0xffff ? 2 : 1) bounds.push(i)
  bounds.push(word.length)
  for (let i = 0; i + 1 < bounds.length; i++) {
    const last = Math.min(bounds.length - 1, i + MAX_PIECE_LENGTH)
    for (let j = i + 1; j <= last; j++) visit(bounds[i], bounds[j])
  }
}

/** All words' lattices, flattened: the arcs of word w are arcs[first[w] .. first[w + 1]), by rising start. */
interface Lattices {
  readonly first: Int32Array
  readonly start: Uint8Array
  readonly end: Uint8Array
  readonly piece: Int32Array
  readonly length: Uint8Array
  readonly count: Float64Array
}

/** The candidate pieces with their log probabilities; pieces die, ids stay. */
class Candidates {
  private readonly pieces: string[]
  private readonly isRequired: boolean[]
  private readonly isAlive: Uint8Array
  private readonly logProbability: Float64Array
  private readonly ids: Map<string, number>
  private readonly lattices: Lattices

  constructor(words: ReadonlyMap<string, number>, required: ReadonlyMap<string, number>) {
    const usable = [...words].filter(([word]) => word.length <= MAX_WORD_LENGTH)
    const seeds = seedPieces(usable, required)
    this.pieces = seeds.map(([piece]) => piece)
    this.isRequired = this.pieces.map((piece) => required.has(piece))
    this.ids = new Map(this.pieces.map((piece, id) => [piece, id]))
    this.isAlive = new Uint8Array(seeds.length).fill(1)
    const total = seeds.reduce((sum, [, count]) => sum + count, 0)
    this.logProbability = Float64Array.from(seeds, ([, count]) => Math.log(count / total))
    this.lattices = buildLattices(usable, this.ids)
  }

  get numAlive(): number {
    return this.isAlive.reduce((sum, alive) => sum + alive, 0)
  }

  /** How often each piece is expected over all segmentations of all words (forward-backward). */
  expectedCounts(): Float64Array {
    const { first, start, end, piece, length, count } = this.lattices
    const probability = this.logProbability.map((value, id) => (this.isAlive[id] ? Math.exp(value) : 0))
    const expected = new Float64Array(this.pieces.length)
    const forward = new Float64Array(MAX_WORD_LENGTH + 1)
    const backward = new Float64Array(MAX_WORD_LENGTH + 1)
    for (let w = 0; w < count.length; w++) {
      const size = length[w]
      forward.fill(0, 0, size + 1)
      backward.fill(0, 0, size + 1)
      forward[0] = 1
      backward[size] = 1
      for (let a = first[w]; a < first[w + 1]; a++)
        forward[end[a]] += forward[start[a]] * probability[piece[a]]
      for (let a = first[w + 1] - 1; a >= first[w]; a--) {
        backward[start[a]] += backward[end[a]] * probability[piece[a]]
      }
      if (!(forward[size] > 0)) continue // holds a character that is no piece
      const scale = count[w] / forward[size]
      for (let a = first[w]; a < first[w + 1]; a++) {
        expected[piece[a]] += forward[start[a]] * probability[piece[a]] * backward[end[a]] * scale
      }
    }
    return expected
  }

  /** New probabilities from expected counts, with the digamma of a Dirichlet prior, which starves rare pieces. */
  maximise(expected: Float64Array): void {
    let total = 0
    for (let id = 0; id < expected.length; id++) {
      if (!this.isAlive[id]) continue
      if (expected[id] < MIN_EXPECTED_COUNT && !this.isRequired[id]) this.isAlive[id] = 0
      else total += Math.max(expected[id], MIN_EXPECTED_COUNT)
    }
    const logTotal = digamma(total)
    for (let id = 0; id < expected.length; id++) {
      if (this.isAlive[id]) {
        this.logProbability[id] = digamma(Math.max(expected[id], MIN_EXPECTED_COUNT)) - logTotal
      }
    }
  }

  /** Leaves the `size` pieces whose removal would cost the likelihood most (required ones always stay). */
  prune(size: number): void {
    const used = this.viterbiCounts()
    const total = used.reduce((sum, value) => sum + value, 0)
    const losses: [id: number, loss: number][] = []
    let numKept = 0
    const dead: number[] = []
    for (let id = 0; id < this.pieces.length; id++) {
      if (!this.isAlive[id]) continue
      if (this.isRequired[id]) numKept++
      else if (used[id] === 0) dead.push(id)
      else losses.push([id, this.removalLoss(id, used, total)])
    }
    losses.sort((a, b) => b[1] - a[1] || a[0] - b[0])
    for (const id of dead) this.isAlive[id] = 0
    for (const [id] of losses.slice(Math.max(0, size - numKept))) this.isAlive[id] = 0
  }

  /** The likelihood that is lost when a piece is replaced by the best segmentation of its text by other pieces. */
  private removalLoss(id: number, used: Float64Array, total: number): number {
    const parts = this.bestSegmentation(this.pieces[id], id)
    if (!parts) return Infinity
    const count = used[id]
    const logKept = Math.log(count) - Math.log(total)
    const logTotal = Math.log(total + count * (parts.length - 1))
    let logReplaced = 0
    for (const part of parts) logReplaced += Math.log(used[part] + count) - logTotal
    return (count / total) * (logKept - logReplaced)
  }

  /** How often each piece occurs in the best segmentation of each word. */
  private viterbiCounts(): Float64Array {
    const { first, start, end, piece, length, count } = this.lattices
    const used = new Float64Array(this.pieces.length)
    const best = new Float64Array(MAX_WORD_LENGTH + 1)
    const via = new Int32Array(MAX_WORD_LENGTH + 1)
    for (let w = 0; w < count.length; w++) {
      best.fill(-Infinity, 0, length[w] + 1)
      best[0] = 0
      for (let a = first[w]; a < first[w + 1]; a++) {
        if (!this.isAlive[piece[a]]) continue
        const score = best[start[a]] + this.logProbability[piece[a]]
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

  /** The best segmentation of a text by living pieces other than `without`, or undefined where there is none. */
  private bestSegmentation(text: string, without: number): number[] | undefined {
    const best = new Array<number>(text.length + 1).fill(-Infinity)
    const via = new Array<readonly [number, number]>(text.length + 1)
    best[0] = 0
    forEachSubstring(text, (start, end) => {
      const id = this.ids.get(text.slice(start, end))
      if (id === undefined || id === without || !this.isAlive[id]) return
      const score = best[start] + this.logProbability[id]
      if (score > best[end]) {
        best[end] = score
        via[end] = [start, id]
      }
    })
    if (best[text.length] === -Infinity) return undefined
    const parts: number[] = []
    for (let at = text.length; at > 0; at = via[at][0]) parts.push(via[at][1])
    return parts
  }

  /** The required characters and the best others, `size` in all, by falling score. */
  finalPieces(size: number): ScoredPiece[] {
    const alive = [...this.pieces.keys()].filter((id) => this.isAlive[id])
    const scored = (ids: number[]) => ids.map((id) => [this.pieces[id], this.logProbability[id]] as const)
    const required = scored(alive.filter((id) => this.isRequired[id]))
    const others = scored(alive.filter((id) => !this.isRequired[id])).sort(byFallingNumberThenText)
    return [...required, ...others.slice(0, size - required.length)].sort(byFallingNumberThenText)
  }
}

/** The required characters, and the substrings with the largest count times length. */
function seedPieces(
  words: readonly (readonly [string, number])[],
  required: ReadonlyMap<string, number>,
): (readonly [string, number])[] {
  const counts = new Map<string, number>()
  for (const [word, count] of words) {
    forEachSubstring(word, (start, end) => {
      const piece = word.slice(start, end)
      counts.set(piece, (counts.get(piece) ?? 0) + count)
    })
  }
  const length = (piece: string) => [...piece].length
  const candidates = [...counts]
    .filter(([piece, count]) => count >= 2 && length(piece) > 1 && ONE_KIND.test(piece))
    .map(([piece, count]) => [piece, count * length(piece)] as const)
    .sort(byFallingNumberThenText)
    .slice(0, MAX_SEEDS)
  return [...required, ...candidates]
}

function buildLattices(
  words: readonly (readonly [string, number])[],
  ids: ReadonlyMap<string, number>,
): Lattices {
  const first = new Int32Array(words.length + 1)
  const [start, end, piece]: number[][] = [[], [], []]
  words.forEach(([word], w) => {
    forEachSubstring(word, (from, to) => {
      const id = ids.get(word.slice(from, to))
      if (id === undefined) return
      start.push(from)
      end.push(to)
      piece.push(id)
    })
    first[w + 1] = piece.length
  })
  return {
    first,
    start: Uint8Array.from(start),
    end: Uint8Array.from(end),
    piece: Int32Array.from(piece),
    length: Uint8Array.from(words, ([word]) => word.length),
    count: Float64Array.from(words, ([, count]) => count),
  }
}

/** Derivative of log gamma for x > 0: recurrence up to 7, then the asymptotic series. */
function digamma(x: number): number {
  let result = 0
  while (x < 7) result -= 1 / x++
  const centred = x - 0.5
  const square = 1 / (centred * centred)
  const series = square * (1 / 24 - square * (7 / 960 - square * (31 / 8064 - (square * 127) / 30720)))
  return result + Math.log(centred) + series
}
