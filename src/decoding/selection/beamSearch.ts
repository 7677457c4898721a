// The arithmetic of beam search for one source, over numbers alone: which continuations go on, which have ended, and when
// nothing can become better. Follows transformers' generate (5.x, _beam_search).
import type { TokenCandidate } from '../engine.js'

/** How hypotheses are kept and compared. */
export interface BeamOptions {
  /** Hypotheses kept side by side; 1 = greedy. */
  readonly beams: number
  /** Score = sum of log-probabilities / length ^ lengthPenalty; 0 = the plain sum, above 0 favours long outputs. */
  readonly lengthPenalty: number
  /** End as soon as as many hypotheses as there are beams have ended; else when no running one can become better. */
  readonly earlyStopping: boolean
}

/** A running hypothesis and one more token. */
export interface Extension {
  /** Index of the running hypothesis. */
  readonly parent: number
  readonly token: number
  /** Sum of the log-probabilities of all its tokens. */
  readonly sum: number
}

/** A hypothesis that has ended. */
export interface Finished<H> {
  readonly hypothesis: H
  readonly score: number
}

/** Beam search of one source. `H` is what the caller keeps of a hypothesis that has ended. */
export class BeamSearch<H> {
  /** At most as many as there are beams, best first. */
  readonly finished: Finished<H>[] = []
  private sums: readonly number[] = [0]
  private length = 0
  private isOver = false

  constructor(
    private readonly options: BeamOptions,
    private readonly ends: { readonly eosId: number; readonly maxNewTokens: number },
  ) {}

  /** Whether no hypothesis is to go on. */
  get isDone(): boolean {
    return this.isOver
  }

  /**
   * Goes one token further. `candidates` has for each running hypothesis its best tokens, at least 2 * beams where there
   * are so many. Returns the hypotheses to go on with, best first; `keep` is called for each that ends and counts.
   */
  extend(
    candidates: readonly (readonly TokenCandidate[])[],
    keep: (extension: Extension) => H,
  ): readonly Extension[] {
    const { beams, earlyStopping } = this.options
    const { eosId, maxNewTokens } = this.ends
    this.length++
    // Twice as many as beams: should all of the best end, there are enough others to go on.
    const best = candidates
      .flatMap((tokens, parent) =>
        tokens.map(({ token, logProbability }) => ({
          parent,
          token,
          sum: this.sums[parent] + logProbability,
        })),
      )
      .sort((a, b) => b.sum - a.sum)
      .slice(0, 2 * beams)
    const ends = ({ token }: Extension) => token === eosId || this.length >= maxNewTokens
    // An end further down the list would be worth less than hypotheses that still run.
    for (const extension of best.slice(0, beams)) {
      if (ends(extension)) this.finish(keep(extension), this.scoreOf(extension.sum))
    }
    const running = best.filter((extension) => !ends(extension)).slice(0, beams)
    this.sums = running.map(({ sum }) => sum)
    const isFull = this.finished.length === beams
    const canImprove = !isFull || this.scoreOf(this.sums[0]) > this.finished.at(-1)!.score
    this.isOver = running.length === 0 || (isFull && earlyStopping) || !canImprove
    return this.isOver ? [] : running
  }

  private scoreOf(sum: number): number {
    return sum / this.length ** this.options.lengthPenalty
  }

  private finish(hypothesis: H, score: number): void {
    const { finished } = this
    const rank = finished.findIndex((other) => other.score < score)
    finished.splice(rank === -1 ? finished.length : rank, 0, { hypothesis, score })
    finished.length = Math.min(finished.length, this.options.beams)
  }
}
