// The seam between the decoding loop and whatever computes the layers. The loop and its policies see token ids and
// probabilities only, never a tensor.
//
// A session cuts the decoder at its exits into segments: exits [S, L] give the layers 1..S and S+1..L. A position's
// depth is the number of segments it has been through; it waits for the next one. Depth never rises from one position
// to the next, so what waits for a segment is always a contiguous run of positions.
import type { EngineDtype } from '../config/index.js'

/** What an engine is and what model it holds. */
export interface EngineInfo {
  /** Name, as `--engine` takes it. */
  readonly engine: string
  /** What computes below it: a tfjs backend, an ONNX execution provider. */
  readonly backend: string
  readonly dtype: EngineDtype
  /** Threads inside one operation. */
  readonly threads: number
  /**
   * Whether positions that go through a segment together may come out as they would not one by one, by more than float32
   * rounds: then `lossless` and flushes promise what they do only approximately, and what is made of it is to say so. A row
   * of a batch goes as it goes alone all the same. Neutral: undefined, no.
   */
  readonly isApproximate?: boolean
  /** The model's shallow exit S, in layers. */
  readonly shallowLayers: number
  /** The model's decoder layers L. */
  readonly decoderLayers: number
  readonly vocabSize: number
  /** Whether the shallow exit can tell `agreement`. Neutral: undefined, no. */
  readonly hasConfidenceHead?: boolean
  /** The token that every sequence starts with; never part of the output. */
  readonly decoderStartId: number
  /** The end of sequence. */
  readonly eosId: number
}

/** What an exit can be asked for beside its arg-max; each costs a little. */
export type ExitFeature = 'probabilities' | 'entropy' | 'agreement' | 'candidates' | 'logits'

/** A token that an exit might choose. */
export interface TokenCandidate {
  readonly token: number
  /**
   * Natural logarithm of its probability. Forbidden tokens keep their share of the distribution, as in the reference's
   * beam search, so that sums of these compare between prefixes that forbid different tokens.
   */
  readonly logProbability: number
}

/** What an exit chose at one position. */
export interface ExitChoice {
  /** The arg-max; of equal logits the lowest id. */
  readonly token: number
  /** Largest and second largest probability; with `probabilities` only. */
  readonly top1?: number
  readonly top2?: number
  /** Entropy of the distribution in nats, in [0, ln V]; with `entropy` only. */
  readonly entropy?: number
  /** How likely the deep exit chooses the same token, in [0, 1], as a head on the shallow state says; with `agreement` only. */
  readonly agreement?: number
  /** The best tokens that are not forbidden, best first, `numCandidates` or as many as there are; with `candidates` only. */
  readonly candidates?: readonly TokenCandidate[]
  /** All V logits, forbidden tokens at -1e9 or below; with `logits` only. */
  readonly logits?: Float32Array
}

export interface SessionOptions {
  /** Layer counts after which an exit is, rising, the last at most L. */
  readonly exits: readonly number[]
  /**
   * Rows of each source, which share all that depends on the source alone; those of source i are rows
   * i * rowsPerSource and on. Neutral: 1.
   */
  readonly rowsPerSource?: number
  /** How many `candidates` an exit tells where it is asked for them. Neutral: 1. */
  readonly numCandidates?: number
  /**
   * Token ids that no exit may choose at a position (from 0, the start token's). Neutral: undefined, none.
   * Probabilities and entropy are those of the remaining tokens.
   */
  readonly forbidden?: (row: number, position: number) => readonly number[]
}

export interface RunOptions {
  /** Index of the segment, from 0. */
  readonly segment: number
  /** Rows to run it for, each with its own positions. */
  readonly rows: readonly number[]
  /** What the segment's exit is to tell; neutral: undefined, the exit is passed by and costs nothing. */
  readonly exit?: readonly ExitFeature[]
  /**
   * Of `probabilities` only: whether those of a row's position may be any between two choices of the same token. An engine
   * that can tell them so at less cost may then answer with what lies between and near the exact ones; undefined, they are
   * exact.
   */
  readonly settles?: (row: number, low: ExitChoice, high: ExitChoice) => boolean
  /**
   * Whether the exit is asked for each row's newest position alone, whose choice is then all that its list holds: for many
   * positions the head may cost as much as the layers. Neutral: false, for every position.
   */
  readonly newestOnly?: boolean
  readonly signal?: AbortSignal
}

/**
 * Decoder state of one or more rows. Its verbs are all that a policy can do. (State copying, which only CALM needs,
 * would be one more.)
 */
export interface DecoderSession {
  /** Appends a decoder input token to a row; its position then waits for segment 0. */
  push(row: number, token: number): void
  /**
   * Runs a segment over all positions of each row that wait for it, in as few passes as the engine can, causal among
   * themselves and over everything before. Resolves with a choice per position that is asked, oldest first, for each row
   * in the order given; with empty lists where the exit is passed by. Positions that have been computed stay so when it rejects.
   * Throws `engine.not-a-number` when an exit's logits hold NaN; rejects with `signal.reason` when aborted.
   */
  run(options: RunOptions): Promise<readonly (readonly ExitChoice[])[]>
  /** Forgets all positions of a row from `length` on, whatever their depth. */
  truncate(row: number, length: number): void
  /**
   * Row `rows[i]` goes on from what row `from[i]`, of the same source, holds now: all at once, so that rows may change
   * places. No row stands twice in `rows`; what a row held that nothing goes on from is forgotten.
   */
  reorder(rows: readonly number[], from: readonly number[]): void
  /** Frees everything; idempotent. Other verbs then throw `engine.disposed`. */
  dispose(): void
}

/** Encoded sources. May serve several sessions, one after the other or at once. */
export interface EncodedSources {
  readonly numRows: number
  /** Opens a session over all sources, without any position yet. The caller disposes it, before the sources. */
  open(options: SessionOptions): DecoderSession
  /** Idempotent. */
  dispose(): void
}

/** What computes a model's layers. */
export interface DecoderEngine {
  readonly info: EngineInfo
  /**
   * Encodes sources, each a list of token ids with its end of sequence and without padding. Resolves when the work is
   * done, so that it can be timed. Throws `engine.empty-source` and `engine.token-out-of-range`; rejects with
   * `signal.reason` when aborted.
   */
  encode(
    sources: readonly ArrayLike<number>[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<EncodedSources>
  /** Frees the weights; idempotent. `encode` then throws `engine.disposed`. */
  dispose(): void
}
