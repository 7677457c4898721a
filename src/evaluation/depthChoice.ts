// The choice of the shallow depth as a pure function: how well each layer's exit agrees with the last one, how many tokens
// could leave there, and what that saves by the measured costs. Measuring is not done here.
import { raiseToAgreement } from '../calibration/index.js'
import type { DepthOptions } from '../config/index.js'
import { expectedCost, type ExpectedCost, type SegmentCosts } from './costModel.js'

/** What the exit after one layer chose at all positions. */
export interface ExitObservations {
  /** In [0, 1], one a position. */
  readonly confidences: Float64Array
  /** 1 where the last layer chose the same token, else 0. */
  readonly agree: Uint8Array
}

/** Everything that the choice rests on. */
export interface DepthMeasurements {
  /** By layer, from the first to the last but one. */
  readonly exits: readonly ExitObservations[]
  /** By layer: costs where the shallow exit comes after it. */
  readonly costs: readonly SegmentCosts[]
  /** Full decoding of one token. */
  readonly fullMs: number
  readonly numSequences: number
}

/** What was found of one layer. */
export interface DepthRow {
  /** Decoder layers below the exit, from 1. */
  readonly layer: number
  /** Share of all tokens at which this exit and the last one choose alike. */
  readonly agreement: number
  /** At given thresholds: the share of tokens above, and how many of these agree (null where there are none). */
  readonly thresholds: readonly {
    readonly threshold: number
    readonly exitShare: number
    readonly agreement: number | null
  }[]
  /** The smallest threshold above which tokens agree often enough; 1 where there is none. */
  readonly threshold: number
  /** Share of tokens above it, and of these the share that agree (null where there are none). */
  readonly exitShare: number
  readonly exitAgreement: number | null
  /** Measured: the layers up to this exit and the exit itself over one position, the others over one position. */
  readonly shallowMs: number
  readonly deepMs: number
  /** Expected cost with that share of exits. */
  readonly cost: ExpectedCost
  /** Full decoding's ms per token over the expected one. */
  readonly speedup: number
  /** The same if exactly the tokens that agree left here: what no threshold can beat without changing a token. */
  readonly speedupLimit: number
}

/** Which depth to take, and why. */
export interface DepthChoice {
  /** The depth with the greatest expected speed-up, or by `limit` the one with the greatest limit; the lower of equals. */
  readonly shallowLayers: number
  /** `threshold`: a threshold makes it faster than full decoding. `limit`: none does at any depth. */
  readonly basis: 'threshold' | 'limit'
  readonly decoderLayers: number
  readonly sequences: number
  readonly tokens: number
  /** Full decoding of one token. */
  readonly fullMs: number
  readonly minAgreement: number
  readonly confidence: string
  /** By layer. */
  readonly rows: readonly DepthRow[]
}

/**
 * Chooses by expected speed-up. Confidences decide who leaves only where tokens above a threshold agree often enough, so
 * a plain checkpoint, whose lower exits were never trained, may have no depth that pays; then the limits decide.
 */
export function chooseByMeasurements(measurements: DepthMeasurements, options: DepthOptions): DepthChoice {
  const { exits, fullMs, numSequences } = measurements
  const rows = exits.map((_, i) => describeLayer(i, measurements, options))
  // Where nothing leaves, whatever seems faster than full decoding is noise.
  const paying = rows.filter(({ exitShare, speedup }) => exitShare > 0 && speedup > 1)
  const basis = paying.length > 0 ? 'threshold' : 'limit'
  const chosen =
    basis === 'threshold'
      ? firstMaximum(paying, ({ speedup }) => speedup)
      : firstMaximum(rows, ({ speedupLimit }) => speedupLimit)
  return {
    shallowLayers: chosen.layer,
    basis,
    decoderLayers: exits.length + 1,
    sequences: numSequences,
    tokens: exits[0].agree.length,
    fullMs,
    minAgreement: options.minAgreement,
    confidence: options.confidence,
    rows,
  }
}

function describeLayer(
  index: number,
  { exits, costs, fullMs, numSequences }: DepthMeasurements,
  { thresholds, minAgreement, minEvidence }: DepthOptions,
): DepthRow {
  const observed = exits[index]
  const segments = costs[index]
  const numTokens = observed.agree.length
  const pattern = { numTokens: Math.max(1, Math.round(numTokens / numSequences)) }
  const agreement = observed.agree.reduce((sum, agrees) => sum + agrees, 0) / numTokens
  const { threshold } = raiseToAgreement(observed.confidences, observed.agree, {
    from: 0,
    minAgreement,
    minEvidence,
  })
  const { exitShare, agreement: exitAgreement } = countAbove(observed, threshold)
  const cost = expectedCost(segments, { ...pattern, exitShare })
  const limit = expectedCost(segments, { ...pattern, exitShare: agreement })
  return {
    layer: index + 1,
    agreement,
    thresholds: thresholds.map((given) => ({ threshold: given, ...countAbove(observed, given) })),
    threshold,
    exitShare,
    exitAgreement,
    shallowMs: segments.shallowMs,
    deepMs: segments.deep[0].ms,
    cost,
    speedup: fullMs / cost.msPerToken,
    speedupLimit: fullMs / limit.msPerToken,
  }
}

function countAbove({ confidences, agree }: ExitObservations, threshold: number) {
  let [numAbove, numAgree] = [0, 0]
  for (let i = 0; i < agree.length; i++) {
    if (confidences[i] <= threshold) continue
    numAbove++
    numAgree += agree[i]
  }
  return { exitShare: numAbove / agree.length, agreement: numAbove > 0 ? numAgree / numAbove : null }
}

function firstMaximum<T>(items: readonly T[], valueOf: (item: T) => number): T {
  return items.reduce((best, item) => (valueOf(item) > valueOf(best) ? item : best))
}
