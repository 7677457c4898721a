// The JSON that `evaluate` and `ablate thresholds` print, as types and as schemas that check it when it is read back.
// No measuring here: reports read these and nothing else. Keys that only reports need are optional and marked so.
import { z } from 'zod'
import {
  labelCheckSchema,
  type CalibratorDiagnostics,
  type ConfidenceHistogram,
  type DensityCurves,
} from '../calibration/index.js'
import { parseConfig } from '../config/index.js'
import type { Exit } from '../decoding/index.js'

/** A metric's score over all examples. */
export interface QualityScore {
  /** 0 to 100, higher is better. */
  readonly score: number
  /** Ends of its confidence interval; null where none was computed. */
  readonly low: number | null
  readonly high: number | null
  /** The settings that make the score comparable, as sacreBLEU writes them. */
  readonly signature: string
}

/** Decoding times; a sequence's ms per token is its decoding time over its tokens, encoder apart. */
export interface LatencyResult {
  /** Median over the sequences. */
  readonly msPerTokenP50: number
  readonly msPerTokenP95: number
  /** Total decoding time over total tokens. */
  readonly msPerTokenMean: number
  readonly tokensPerSecond: number
  /** Median over the sequences of the encoder's whole time. */
  readonly encoderMsP50: number
}

/** Where the tokens came from. */
export interface ExitsResult {
  /** Share of tokens that exited shallow, in [0, 1]. */
  readonly shallowShare: number
  /** Mean over the tokens of the layers passed before the token was emitted. */
  readonly meanDepth: number
  /** Decoder layers run, as a share of what `full` runs: (S steps + (L - S) flushes) / (L tokens). */
  readonly layerPasses: number
  /** Share of the flushed positions that gave evidence whose exits chose alike, in [0, 1]; null where none did. */
  readonly agreement: number | null
  readonly flushes: number
  /** Positions a flush; null without flushes. */
  readonly meanFlushSize: number | null
}

/** What a profit rule decided, sequence by sequence. */
export interface ProfitResult {
  /** Sequences that were decoded as full, and with early exits. */
  readonly full: number
  readonly early: number
  /** Of the latter, those that were to see whether early exits pay by now. */
  readonly trials: number
  /** The last decision, and what it rests on: expected costs, and the share of tokens expected to leave early. */
  readonly last: {
    readonly isFull: boolean
    /** The stack's bound; null where there is none, or no stack. */
    readonly maxPending: number | null
    readonly msPerToken: number
    readonly fullMsPerToken: number
    readonly exitShare: number
  }
}

/** One token of an output. */
export interface OutputToken {
  /** The text that it adds, leading space included; '' where it adds none (part of a character, end of sequence). */
  readonly text: string
  readonly exit: Exit
  /** Of the shallow exit at this position, in [0, 1]; null where no shallow exit was looked at. */
  readonly confidence: number | null
  /** The decoder layer that it came from, from 1. */
  readonly exitLayer: number
  /** Positions of the flush that it came from, itself included; 0 at a shallow exit. */
  readonly flushSize?: number
}

/** One decoded example, to be shown token by token. */
export interface EvaluatedOutput {
  readonly source: string
  readonly references: readonly string[]
  /** The whole output as it was scored. */
  readonly text: string
  /** What confidences were compared with while it was decoded; null under policies without a threshold. */
  readonly threshold?: number | null
  readonly tokens: readonly OutputToken[]
}

/** What a report says of a calibrator's threshold. A calibration as `calibrate` saves it is one of these. */
export interface EvidenceSummary {
  /** Exit shallow iff confidence > threshold; 1 = never. */
  readonly threshold: number
  /** Points seen in all, and the share of them that agreed (null without points). */
  readonly evidenceCount: number
  readonly agreement: number | null
  readonly diagnostics: Omit<CalibratorDiagnostics, 'logLikelihood'>
  readonly histogram: ConfidenceHistogram
  /** The fitted densities; null where no mixture was fitted. */
  readonly densities: DensityCurves | null
}

/** What `evaluate --json` prints: one policy over one data set. */
export interface EvaluationResult {
  readonly policy: string
  /** As asked for; null under policies without one. */
  readonly threshold: number | 'adaptive' | 'calibrated' | null
  readonly engine: string
  /** Null where the engine has no choice of backends. */
  readonly backend: string | null
  readonly dtype: string
  /** Null where it is not known. */
  readonly threads: number | null
  readonly examples: number
  readonly tokens: number
  /** Scores by metric name; the first is the one that tables show. */
  readonly quality: Readonly<Record<string, QualityScore>>
  readonly latency: LatencyResult
  readonly exits: ExitsResult
  /** Total decoding ms per token of `full` over this policy's, same rows; null without `--baseline full`. */
  readonly speedup: number | null
  /** The same with the encoder's time on both sides. */
  readonly speedupWithEncoder: number | null

  /** Whether `lossless` is not exact on this engine, up to what its precision rounds; absent = exact, or not promised. */
  readonly isApproximate?: boolean
  /** What the profit rule decided; absent where it was off or stood aside. */
  readonly profit?: ProfitResult
  /** For reports: how tokens were taken (beams, lengthPenalty, temperature, seed, ...); absent = greedily. */
  readonly selection?: Readonly<Record<string, number | boolean | null>>
  /** For reports: what to call this row where policy and threshold do not tell rows apart. */
  readonly label?: string
  /** For reports: S and L of the model. */
  readonly shallowLayers?: number
  readonly decoderLayers?: number
  /** For reports: where an adaptive threshold ended, or what a calibrated one was. */
  readonly thresholdAtEnd?: number
  /** For reports: some outputs with their exits. */
  readonly outputs?: readonly EvaluatedOutput[]
  /** For reports: the evidence behind an adaptive or calibrated threshold. */
  readonly evidence?: EvidenceSummary
}

/** What `ablate thresholds --json` prints. */
export interface AblationResult {
  /** `full` first, then `static`, the fixed thresholds, `adaptive`; the demo adds `lossless`. */
  readonly rows: readonly EvaluationResult[]
  /** The fastest fixed threshold whose quality is at least 99 % of full's; null where none is. */
  readonly bestFixed: EvaluationResult | null
  /** Null where it was not measured. */
  readonly adaptive: EvaluationResult | null
  /** Area under quality against latency by policy; null where a policy has too few points. */
  readonly areaUnderCurve: Readonly<Record<string, number | null>>
}

const unit = z.number().min(0).max(1)
const count = z.number().int().nonnegative()
const time = z.number().nonnegative()
const pair = z.tuple([z.number(), z.number()]).readonly()

const outputSchema: z.ZodType<EvaluatedOutput> = z.strictObject({
  source: z.string(),
  references: z.array(z.string()),
  text: z.string(),
  threshold: unit.nullable().optional(),
  tokens: z.array(
    z.strictObject({
      text: z.string(),
      exit: z.enum(['shallow', 'deep']),
      confidence: unit.nullable(),
      exitLayer: z.number().int().positive(),
      flushSize: count.optional(),
    }),
  ),
})

// Loose: a saved calibration holds more than a report reads.
const evidenceSchema: z.ZodType<EvidenceSummary> = z.looseObject({
  threshold: unit,
  evidenceCount: count,
  agreement: unit.nullable(),
  diagnostics: z.looseObject({
    code: z.string(),
    message: z.string(),
    evidenceCount: count,
    agreement: unit.nullable(),
    threshold: unit,
    proposedThreshold: unit,
    labelCheck: labelCheckSchema.nullable(),
    mixture: z.strictObject({ alpha: pair, beta: pair, weight: pair }).nullable(),
  }),
  histogram: z.strictObject({ agree: z.array(count), disagree: z.array(count) }),
  densities: z
    .strictObject({
      confidence: z.array(unit),
      agree: z.array(z.number().nonnegative()),
      disagree: z.array(z.number().nonnegative()),
      weight: pair,
    })
    .nullable(),
})

/** Schema of {@link EvaluationResult}. */
export const evaluationResultSchema: z.ZodType<EvaluationResult> = z.strictObject({
  policy: z.string(),
  threshold: z.union([unit, z.enum(['adaptive', 'calibrated'])]).nullable(),
  engine: z.string(),
  backend: z.string().nullable(),
  dtype: z.string(),
  threads: z.number().int().positive().nullable(),
  examples: count,
  tokens: count,
  quality: z.record(
    z.string(),
    z.strictObject({
      score: z.number(),
      low: z.number().nullable(),
      high: z.number().nullable(),
      signature: z.string(),
    }),
  ),
  latency: z.strictObject({
    msPerTokenP50: time,
    msPerTokenP95: time,
    msPerTokenMean: time,
    tokensPerSecond: time,
    encoderMsP50: time,
  }),
  exits: z.strictObject({
    shallowShare: unit,
    meanDepth: z.number().nonnegative(),
    layerPasses: z.number().nonnegative(),
    agreement: unit.nullable(),
    flushes: count,
    meanFlushSize: z.number().nonnegative().nullable(),
  }),
  speedup: time.nullable(),
  speedupWithEncoder: time.nullable(),
  isApproximate: z.boolean().optional(),
  profit: z
    .strictObject({
      full: count,
      early: count,
      trials: count,
      last: z.strictObject({
        isFull: z.boolean(),
        maxPending: count.nullable(),
        msPerToken: time,
        fullMsPerToken: time,
        exitShare: unit,
      }),
    })
    .optional(),
  selection: z.record(z.string(), z.union([z.number(), z.boolean(), z.null()])).optional(),
  label: z.string().optional(),
  shallowLayers: z.number().int().positive().optional(),
  decoderLayers: z.number().int().positive().optional(),
  thresholdAtEnd: unit.optional(),
  outputs: z.array(outputSchema).optional(),
  evidence: evidenceSchema.optional(),
})

/** Schema of {@link AblationResult}. */
export const ablationResultSchema: z.ZodType<AblationResult> = z.strictObject({
  rows: z.array(evaluationResultSchema),
  bestFixed: evaluationResultSchema.nullable(),
  adaptive: evaluationResultSchema.nullable(),
  areaUnderCurve: z.record(z.string(), z.number().nullable()),
})

/**
 * Checks parsed JSON of `evaluate`. Throws `config.*` with all problems in one report.
 * @param source the file, for messages
 */
export function parseEvaluationResult(json: unknown, source: string): EvaluationResult {
  return parseConfig(evaluationResultSchema, json, source)
}

/** Checks parsed JSON of `ablate thresholds`. Throws as {@link parseEvaluationResult} does. */
export function parseAblationResult(json: unknown, source: string): AblationResult {
  return parseConfig(ablationResultSchema, json, source)
}
