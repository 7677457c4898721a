// Options of decoding, with their defaults: the loop's own, and with them the choice of policy and threshold as the
// command line and configuration files write it.
import { z } from 'zod'
import { parseConfig } from './parse.js'

const count = z.number().int().nonnegative()

/** Names of the policies, as `--policy` takes them. */
export const policyNames = ['full', 'static', 'free', 'rollback', 'lossless'] as const

/** Name of a policy. */
export type PolicyName = (typeof policyNames)[number]

/** Names of the confidence measures, as `--confidence` takes them. */
export const confidenceNames = ['top2-gap', 'top1', 'entropy', 'learned'] as const

/** Name of a confidence measure. */
export type ConfidenceName = (typeof confidenceNames)[number]

const loopShape = {
  maxNewTokens: z
    .number()
    .int()
    .positive()
    .default(128)
    .describe('stop after this many tokens, end of sequence included'),
  minNewTokens: count
    .default(0)
    .describe('no end of sequence before this many other tokens; 0 = whenever the model says so'),
  noRepeatNgram: count
    .default(0)
    .describe('no sequence of this many tokens twice in an output; 0 = may repeat'),
  maxPending: count
    .nullable()
    .default(null)
    .describe('a stack that holds this many positions forces a flush at the next token; null = never'),
  flushAtEnd: z
    .boolean()
    .optional()
    .describe(
      'flush what is pending when a sequence ends, for its evidence; default: where a calibrator wants it',
    ),
  evidence: z
    .boolean()
    .default(false)
    .describe(
      'compare the exits at every flushed position, for the agreement in the results; costs the deep head at each, and is always done where a calibrator wants it, a policy verifies, or flush-at-end is on',
    ),
  confidence: z
    .enum(confidenceNames)
    .default('top2-gap')
    .describe(
      'what the threshold is compared with, from 0 to 1; learned: the confidence head of the checkpoint',
    ),
  exactConfidence: z
    .boolean()
    .default(false)
    .describe(
      'compute confidences to the last digit also where a cheaper proof of the same exits would do, for records of them',
    ),
}

const fewerThanLimit = {
  path: ['minNewTokens'],
  message: 'must be less than maxNewTokens, which counts the end of sequence too',
}

/** Schema of {@link LoopOptions}. */
export const loopOptionsSchema = z
  .strictObject(loopShape)
  .refine(({ minNewTokens, maxNewTokens }) => minNewTokens < maxNewTokens, fewerThanLimit)

/** Options of the decoding loop, complete. `flushAtEnd` undefined: where a calibrator wants it. */
export type LoopOptions = Readonly<z.output<typeof loopOptionsSchema>>

/** Options of the decoding loop as a caller writes them: what is left out takes its default. */
export type LoopOptionsInput = Readonly<z.input<typeof loopOptionsSchema>>

const selectionShape = {
  temperature: z
    .number()
    .positive()
    .nullable()
    .default(null)
    .describe('draw tokens, from logits divided by this, 1 = as the model says; null = take the best'),
  topK: z
    .number()
    .int()
    .positive()
    .nullable()
    .default(null)
    .describe('draw from this many most probable tokens only; null = from all'),
  topP: z
    .number()
    .positive()
    .max(1)
    .nullable()
    .default(null)
    .describe('draw from the most probable tokens that together have this probability; null = from all'),
  seed: count.default(0).describe('of what is drawn: the same seed draws the same, whatever the batch size'),
  beams: z
    .number()
    .int()
    .positive()
    .default(1)
    .describe('policies full and static: hypotheses searched side by side; 1 = greedy'),
  lengthPenalty: z
    .number()
    .default(1)
    .describe('beams: compare by log-probability / length ^ this; 0 = by the sum, higher favours longer'),
  earlyStopping: z
    .boolean()
    .default(false)
    .describe('beams: end once as many outputs as beams have ended, though others might become better'),
}

/** Schema of {@link DecodingOptions}. */
export const decodingOptionsSchema = z
  .strictObject({
    policy: z.enum(policyNames).default('free').describe('the rule that decides per token'),
    exitLayer: z
      .number()
      .int()
      .positive()
      .optional()
      .describe('policy static: exit after this decoder layer, from 1; default the shallow exit'),
    threshold: z
      .union([z.number().min(0).max(1), z.enum(['adaptive', 'calibrated'])], {
        error: 'expected a number from 0 to 1, adaptive or calibrated',
      })
      .default(0.9)
      .describe('exit shallow iff confidence > threshold; 1 = never'),
    rollbackBound: z
      .number()
      .nonnegative()
      .optional()
      .describe(
        'policy rollback: undo a shallow token that the deep exit gives a cross-entropy above this, in nats; default 2',
      ),
    calibrator: z.string().default('beta-mixture').describe('what adapts the threshold'),
    profit: z
      .union([z.enum(['off', 'measured']), z.string().min(1).meta({ placeholder: 'file' })])
      .default('off')
      .describe(
        'measured: decode as full where early exits would cost more than they save here; or a file of such costs',
      ),
    batchSize: z.number().int().positive().default(1).describe('sequences decoded together'),
    ...selectionShape,
    ...loopShape,
  })
  .refine(({ minNewTokens, maxNewTokens }) => minNewTokens < maxNewTokens, fewerThanLimit)
  .refine(({ policy, exitLayer }) => policy === 'static' || exitLayer === undefined, {
    path: ['exitLayer'],
    message: 'belongs to policy static only',
  })
  .refine(({ policy, rollbackBound }) => policy === 'rollback' || rollbackBound === undefined, {
    path: ['rollbackBound'],
    message: 'belongs to policy rollback only',
  })
  .refine(({ profit, policy }) => profit === 'off' || (policy !== 'full' && policy !== 'static'), {
    path: ['profit'],
    message: 'belongs to policies free, rollback and lossless, which may exit early or not',
  })
  .refine(({ beams, policy }) => beams === 1 || policy === 'full' || policy === 'static', {
    path: ['beams'],
    message: 'need policy full or static, whose hypotheses all leave by the same exit',
  })
  .refine(({ beams, temperature }) => beams === 1 || temperature === null, {
    path: ['beams'],
    message: 'take the best and draw nothing: leave temperature out',
  })
  .refine(({ topK, temperature }) => topK === null || temperature !== null, {
    path: ['topK'],
    message: 'belongs to drawing: give temperature too',
  })
  .refine(({ topP, temperature }) => topP === null || temperature !== null, {
    path: ['topP'],
    message: 'belongs to drawing: give temperature too',
  })
  .refine(({ beams, flushAtEnd }) => beams === 1 || !flushAtEnd, {
    path: ['flushAtEnd'],
    message: 'gathers evidence for a threshold, and beams have none',
  })
  .refine(({ beams, evidence }) => beams === 1 || !evidence, {
    path: ['evidence'],
    message: 'gathers evidence for a threshold, and beams have none',
  })

/** Policy, threshold and loop options, complete. */
export type DecodingOptions = Readonly<z.output<typeof decodingOptionsSchema>>

/** The same as a caller writes them: what is left out takes its default. */
export type DecodingOptionsInput = Readonly<z.input<typeof decodingOptionsSchema>>

/** Checks and completes decoding options. Throws `config.*` with all problems in one report. */
export function parseDecodingOptions(value: unknown, source: string): DecodingOptions {
  return parseConfig(decodingOptionsSchema, value, source)
}
