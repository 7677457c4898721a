// Trains a Unigram vocabulary (Kudo 2018, as SentencePiece does it): many candidate pieces, expectation maximisation of
// their probabilities over word counts, pruning by what the likelihood loses, until the wanted size is left.
import { BestPath } from './bestPath.js'
import { bestCounts, buildLattices, expectedCounts, forEachSubstring, type Lattices } from './lattices.js'
import { seedPieces } from './seedPieces.js'
import {
  byFallingCount,
  requiredCharacters,
  tooLittleText,
  trainingWords,
  type Counted,
  type VocabularyOptions,
} from './vocabularyRules.js'

const MAX_SEEDS = 200_000
const SHRINK_FACTOR = 0.75
const EM_STEPS = 2
/** Expected counts below this are dropped in the M step, as SentencePiece does. */
const MIN_EXPECTED_COUNT = 0.5

/**
 * Trains on distinct words (with their marks) and their counts. Returns the pieces with their natural log probabilities,
 * by falling score. Deterministic, whatever the order of the words. SentencePiece, whose seeds come from a suffix array,
 * misses words that the same character always follows; here every repeated substring is a seed, which gives about 3 %
 * fewer pieces a sentence and a higher likelihood at the same size.
 * Throws `tokenizer.too-few-pieces` where the characters alone exceed `numPieces`, and `tokenizer.too-little-text` where
 * the text gives fewer pieces.
 */
export function trainUnigram(words: ReadonlyMap<string, number>, options: VocabularyOptions): Counted[] {
  const { numPieces } = options
  const model = new Candidates(trainingWords(words), requiredCharacters(words, options))
  // SentencePiece prunes to a tenth more than wanted and lets the final cut by score take the rest.
  const pruneTo = Math.floor(numPieces * 1.1)
  for (;;) {
    for (let step = 0; step < EM_STEPS; step++) model.maximise(model.expectedCounts())
    if (model.numAlive <= pruneTo) break
    model.prune(Math.max(pruneTo, Math.floor(model.numAlive * SHRINK_FACTOR)))
  }
  const pieces = model.finalPieces(numPieces)
  if (pieces.length < numPieces) throw tooLittleText(numPieces, pieces.length)
  return pieces
}

/** The candidate pieces with their log probabilities; pieces die, ids stay. */
class Candidates {
  private readonly pieces: string[]
  private readonly numRequired: number
  private readonly isAlive: Uint8Array
  private readonly logProbability: Float64Array
  private readonly ids: Map<string, number>
  private readonly lattices: Lattices
  private readonly path = new BestPath()

  constructor(words: readonly Counted[], required: readonly Counted[]) {
    const seeds = [...required, ...seedPieces(words, MAX_SEEDS)]
    this.pieces = seeds.map(([piece]) => piece)
    this.numRequired = required.length
    this.ids = new Map(this.pieces.map((piece, id) => [piece, id]))
    this.isAlive = new Uint8Array(seeds.length).fill(1)
    const total = seeds.reduce((sum, [, count]) => sum + count, 0)
    this.logProbability = Float64Array.from(seeds, ([, count]) => Math.log(count / total))
    this.lattices = buildLattices(words, this.ids)
  }

  private isRequired(id: number): boolean {
    return id < this.numRequired // they come first
  }

  get numAlive(): number {
    return this.isAlive.reduce((sum, alive) => sum + alive, 0)
  }

  /** How often each living piece is expected over all segmentations of all words. */
  expectedCounts(): Float64Array {
    return expectedCounts(
      this.lattices,
      this.logProbability.map((value, id) => (this.isAlive[id] ? Math.exp(value) : 0)),
    )
  }

  /** New probabilities from expected counts, with the digamma of a Dirichlet prior, which starves rare pieces. */
  maximise(expected: Float64Array): void {
    let total = 0
    for (let id = 0; id < expected.length; id++) {
      if (!this.isAlive[id]) continue
      if (expected[id] < MIN_EXPECTED_COUNT && !this.isRequired(id)) this.isAlive[id] = 0
      else total += Math.max(expected[id], MIN_EXPECTED_COUNT)
    }
    const logTotal = digamma(total)
    for (let id = 0; id < expected.length; id++) {
      if (this.isAlive[id]) {
        this.logProbability[id] = digamma(Math.max(expected[id], MIN_EXPECTED_COUNT)) - logTotal
      }
    }
  }

  /**
   * Leaves the `size` pieces whose removal would cost the likelihood most (required ones always stay). Pieces in no best
   * segmentation go first; SentencePiece drops all of those, which leaves too few where there is little text.
   */
  prune(size: number): void {
    const used = bestCounts(
      this.lattices,
      this.logProbability.map((value, id) => (this.isAlive[id] ? value : -Infinity)),
    )
    const total = used.reduce((sum, value) => sum + value, 0)
    const losses: [id: number, loss: number][] = []
    let numKept = 0
    for (let id = 0; id < this.pieces.length; id++) {
      if (!this.isAlive[id]) continue
      if (this.isRequired(id)) numKept++
      else losses.push([id, used[id] === 0 ? -Infinity : this.removalLoss(id, used, total)])
    }
    losses.sort((a, b) => b[1] - a[1] || a[0] - b[0])
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

  /** The best segmentation of a text by living pieces other than `without`, or undefined where there is none. */
  private bestSegmentation(text: string, without: number): number[] | undefined {
    const { path } = this
    path.begin(text.length)
    forEachSubstring(text, (start, end) => {
      const id = this.ids.get(text.slice(start, end))
      if (id === undefined || id === without || !this.isAlive[id]) return
      path.offer(start, end, id, path.scoreAt(start) + this.logProbability[id])
    })
    if (path.scoreAt(text.length) === -Infinity) return undefined
    return path.arcsTo(text.length).map((arc) => arc.id)
  }

  /** The required characters and the best others, `size` in all, by falling score. */
  finalPieces(size: number): Counted[] {
    const alive = [...this.pieces.keys()].filter((id) => this.isAlive[id])
    const scored = (ids: number[]) => ids.map((id) => [this.pieces[id], this.logProbability[id]] as const)
    const required = scored(alive.filter((id) => this.isRequired(id)))
    const others = scored(alive.filter((id) => !this.isRequired(id))).sort(byFallingCount)
    return [...required, ...others.slice(0, size - required.length)].sort(byFallingCount)
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
