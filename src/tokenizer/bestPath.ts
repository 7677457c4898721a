// The Viterbi algorithm over the positions of a text: the one way to cut it into pieces with the highest sum of scores.

/** A piece on the best path: code units `start` to `end`. */
export interface Arc {
  readonly start: number
  readonly end: number
  readonly id: number
}

/**
 * Finds the best path from position 0 to `length`. Arcs are offered by rising start; of equal sums the first offered wins.
 * One object serves many texts, one after the other, and keeps its arrays.
 */
export class BestPath {
  private best = new Float64Array(0)
  private from = new Int32Array(0)
  private via = new Int32Array(0)

  /** @param round what is done to each sum: SentencePiece adds in float32 (`Math.fround`), the others in float64. */
  constructor(private readonly round: (sum: number) => number = (sum) => sum) {}

  /** Begins a new text. */
  begin(length: number): void {
    if (this.from.length <= length) {
      const size = Math.max(64, 2 * length)
      this.best = new Float64Array(size)
      this.from = new Int32Array(size)
      this.via = new Int32Array(size)
    }
    this.best.fill(-Infinity, 0, length + 1)
    this.best[0] = 0
  }

  /** The best sum up to a position; -Infinity where no arcs lead there. */
  scoreAt(position: number): number {
    return this.best[position]
  }

  /** Offers an arc that makes the sum at its end `total`. */
  offer(start: number, end: number, id: number, total: number): void {
    const sum = this.round(total)
    if (!(sum > this.best[end])) return
    this.best[end] = sum
    this.from[end] = start
    this.via[end] = id
  }

  /** The arcs of the best path to a position that arcs lead to, in order. */
  arcsTo(position: number): Arc[] {
    const arcs: Arc[] = []
    for (let end = position; end > 0; end = this.from[end]) {
      arcs.push({ start: this.from[end], end, id: this.via[end] })
    }
    return arcs.reverse()
  }
}
