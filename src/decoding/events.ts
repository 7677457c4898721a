// What decoding tells while it goes on. Streaming, progress, cost accounting and the visualiser all read these.
import type { Evidence } from '../calibration/index.js'

/** Which kind of exit a token came from: the last decoder layer (deep) or an earlier one. */
export type Exit = 'shallow' | 'deep'

/** `eos`: the end of sequence was emitted; `length`: `maxNewTokens` were. */
export type FinishReason = 'eos' | 'length'

/** The sources are encoded: what comes before this event is the encoder's time, what comes after is decoding. */
export interface EncodedEvent {
  readonly type: 'encoded'
  readonly numRows: number
}

/**
 * A token was emitted. Provisional under policies that verify: a later event may take it back. With beams a row's tokens
 * all come when its search has ended.
 */
export interface TokenEvent {
  readonly type: 'token'
  readonly row: number
  /** Index in the row's output, from 0. */
  readonly position: number
  readonly token: number
  readonly exit: Exit
  /** The decoder layer it came from, from 1. */
  readonly exitLayer: number
  /** Of the shallow exit at this position, in [0, 1]; null where no shallow exit was looked at. */
  readonly confidence: number | null
  /** The row's threshold, in [0, 1]; null under policies without one. */
  readonly threshold: number | null
  /** Positions of the flush that it came from, itself included; 0 at a shallow exit. */
  readonly flushSize: number
  /** Emissions, from this position on, that this token takes back: it stands in place of the first of them. */
  readonly retracted: number
  /** The confidence was above the threshold, but the stack was full. */
  readonly isForced: boolean
}

/** Tokens became final. Together a row's commits are its output. */
export interface CommitEvent {
  readonly type: 'commit'
  readonly row: number
  /** Position of the first of the tokens. */
  readonly position: number
  /** May be empty in a row's last commit, when only text was held back. */
  readonly tokens: readonly number[]
  /** The text that these tokens add; '' without a text stream. */
  readonly text: string
}

/** A row has ended; its last event. */
export interface EndEvent {
  readonly type: 'end'
  readonly row: number
  readonly result: RowResult
}

export type DecodeEvent = EncodedEvent | TokenEvent | CommitEvent | EndEvent

/** One flushed position, and how its exits compare. */
export interface FlushedPosition extends Evidence {
  readonly position: number
}

/** One of the outputs that beam search found. */
export interface Hypothesis {
  /** As in {@link RowResult}. */
  readonly tokens: readonly number[]
  /** Sum of the tokens' log-probabilities over their number to the power of `lengthPenalty`. */
  readonly score: number
}

/** Everything about a row that has ended. Lists named so have one entry a token of the output. */
export interface RowResult {
  /** Without the start token, with the end of sequence where it ended so. A list by token, as the next three. */
  readonly tokens: readonly number[]
  readonly exits: readonly Exit[]
  readonly exitLayers: readonly number[]
  readonly confidences: readonly (number | null)[]
  /** All committed text; '' without a text stream. */
  readonly text: string
  readonly threshold: number | null
  readonly finishReason: FinishReason
  /** Size of each flush in order, the one at the end included. */
  readonly flushes: readonly number[]
  /** Positions at which a full stack overruled a sufficient confidence. */
  readonly forced: readonly number[]
  /**
   * Every flushed position whose shallow choice is known, in order; none where nobody wanted them: a calibrator, a
   * verification, or `evidence` and `flushAtEnd`.
   */
  readonly evidence: readonly FlushedPosition[]
  /** Positions that never went deep. */
  readonly pendingAtEnd: number
  /** With beams only: all outputs found, best first; the first one is the row's own. */
  readonly hypotheses?: readonly Hypothesis[]
  /** Tokens that were put in, one at a time: passes of the first segment, those of all beams together. */
  readonly steps: number
  /** Emissions that were taken back. */
  readonly retracted: number
  /** Decoder layers run, each once a pass whatever the number of positions in it; those of all beams together. */
  readonly layerPasses: number
}

/** Turns committed tokens into text as they come; a fresh one for each row. A tokenizer's incremental detokeniser is one. */
export interface TextStream {
  /** The text that has become certain by this token, often none. */
  push(token: number): string
  /** What was held back. */
  end(): string
}
