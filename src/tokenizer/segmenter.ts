// A text cut into the pieces of a Unigram vocabulary, as it is encoded: from a tokenizer.json and from a spiece.model alike.
import { BestPath, type Arc } from './bestPath.js'
import type { PieceTrie } from './pieceTrie.js'

/** The pieces that a text is cut into. */
export interface ScoredPieces {
  /** Ids of the pieces by their text. */
  readonly trie: PieceTrie
  /** By id. */
  readonly scores: Float64Array
  /** Stands for a character that is no piece. */
  readonly unkId: number
  /** What such a character costs. */
  readonly unknownScore: number
}

/** Cuts texts, one after the other, each in time linear in its length. */
export class Segmenter {
  private readonly path: BestPath

  /** @param round as {@link BestPath} takes it. Neutral: undefined, sums are in float64. */
  constructor(
    private readonly pieces: ScoredPieces,
    round?: (sum: number) => number,
  ) {
    this.path = new BestPath(round)
  }

  /** The pieces with the highest sum of scores, in order; each unknown character is one of its own. */
  segment(text: string): Arc[] {
    const { path } = this
    const { trie, scores, unkId, unknownScore } = this.pieces
    path.begin(text.length)
    for (let start = 0; start < text.length;) {
      const score = path.scoreAt(start)
      const next = start + (text.codePointAt(start)! > 0xffff ? 2 : 1)
      let isKnown = false
      trie.forEachPrefix(text, start, (end, id) => {
        path.offer(start, end, id, score + scores[id])
        if (end === next) isKnown = true
      })
      if (!isKnown) path.offer(start, next, unkId, score + unknownScore)
      start = next
    }
    return path.arcsTo(text.length)
  }
}
