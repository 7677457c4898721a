// Whether early exits pay, as a pure function of what passes cost and of how tokens are expected to leave. Costs are
// measured in pipeline/, and how tokens leave is estimated in exitEstimate.ts; nothing here reads a clock.
import { z } from 'zod'
import { parseConfig } from '../config/index.js'
import { expectedCost, type ExitPattern, type SegmentCosts } from './costModel.js'

/** What passes cost on some machine: those of early exits, and of full decoding beside them. */
export interface DecodingCosts extends SegmentCosts {
  /** Full decoding of one token. */
  readonly fullMs: number
}

const ms = z.number().positive()

/** Schema of {@link DecodingCosts}. */
export const decodingCostsSchema: z.ZodType<DecodingCosts> = z.strictObject({
  shallowMs: ms,
  deep: z
    .array(z.strictObject({ positions: z.number().int().positive(), ms }))
    .min(1)
    .refine((points) => points[0]?.positions === 1, 'must begin with one position')
    .refine(
      (points) => points.every(({ positions }, i) => i === 0 || positions > points[i - 1].positions),
      'numbers of positions must rise',
    ),
  fullMs: ms,
})

/** Checks costs read from JSON. Throws `config.*` with all problems in one report. */
export function parseDecodingCosts(json: unknown, source: string): DecodingCosts {
  return parseConfig(decodingCostsSchema, json, source)
}

/** How tokens are expected to leave, whatever the stack holds. */
export type LeavePattern = Omit<ExitPattern, 'maxPending'>

/** The cheapest way to decode, by expectation. */
export interface ProfitChoice {
  /** Whether never to exit early is cheapest. */
  readonly isFull: boolean
  /** The bound of the stack under which early exits cost least, also where they do not pay; null = none. */
  readonly maxPending: number | null
  /** With early exits under that bound. */
  readonly msPerToken: number
  /** Of full decoding. */
  readonly fullMsPerToken: number
}

/** Bounds of the stack that are compared. Without one first: of equals, what is nearest to what was asked for. */
export const CONSIDERED_BOUNDS: readonly (number | null)[] = [null, 16, 8, 4, 2, 1]

/** What early exits must save, as a share of full decoding: costs that are measured once are off by some percent. */
export const LEAST_GAIN = 0.05

/**
 * Compares all considered bounds of the stack with full decoding, which wins where none saves {@link LEAST_GAIN}. Throws as
 * {@link expectedCost} does.
 */
export function chooseByCosts(costs: DecodingCosts, pattern: LeavePattern): ProfitChoice {
  let best: { maxPending: number | null; msPerToken: number } | undefined
  for (const maxPending of CONSIDERED_BOUNDS) {
    const { msPerToken } = expectedCost(costs, { ...pattern, maxPending: maxPending ?? undefined })
    if (best === undefined || msPerToken < best.msPerToken) best = { maxPending, msPerToken }
  }
  const isFull = !(best!.msPerToken < (1 - LEAST_GAIN) * costs.fullMs)
  return { isFull, ...best!, fullMsPerToken: costs.fullMs }
}
