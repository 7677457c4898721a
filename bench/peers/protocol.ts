// What the command and a worker say to each other: one JSON object a line, requests on the worker's standard input, answers
// on its standard output, in order. A worker loads one model once, then decodes greedily until its input is closed.
import { z } from 'zod'

/** First request: the model, and what to compute with. */
export interface LoadRequest {
  readonly op: 'load'
  /** Folder in the layout that the worker reads. */
  readonly model: string
  /** As the peer itself names its precisions. */
  readonly dtype: string
  readonly threads: number
  /** Our own engines only: which one, and on which backend. */
  readonly engine?: string
  readonly backend?: string
}

/** Further requests: decode these rows as one batch. */
export interface DecodeRequest {
  readonly op: 'decode'
  /** Token ids, end of sequence included where there is one. */
  readonly sources: readonly (readonly number[])[]
  /** A row ends here, or with the end of sequence, which counts. */
  readonly maxNewTokens: number
  /** Our own engines only. Neutral: undefined, no exits. */
  readonly policy?: ExitPolicy
}

/** A policy that exits early. */
export interface ExitPolicy {
  readonly name: 'free' | 'lossless'
  readonly threshold: number
}

export type WorkerRequest = LoadRequest | DecodeRequest

const milliseconds = z.number().nonnegative()

/** Answer to {@link LoadRequest}: the versions of what computes, and the threads that it really takes. */
export const loadReplySchema = z.strictObject({
  id: z.int(),
  versions: z.record(z.string(), z.string()),
  threads: z.int().positive(),
})

export type LoadReply = Readonly<z.output<typeof loadReplySchema>>

/** Answer to {@link DecodeRequest}. */
export const decodeReplySchema = z.strictObject({
  id: z.int(),
  /** From the ids to the ids, encoder included. */
  ms: milliseconds,
  /** What of that the encoder took; null where the peer does not let it be told. */
  encoderMs: milliseconds.nullable(),
  /** Per row, without the start token, up to and with the end of sequence. */
  tokens: z.array(z.array(z.int().nonnegative())),
})

export type DecodeReply = Readonly<z.output<typeof decodeReplySchema>>

/** Answer to a request that failed; the worker goes on. */
export const failureReplySchema = z.strictObject({ id: z.int(), error: z.string() })
