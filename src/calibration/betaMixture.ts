// The Beta mixture of FREE (arXiv 2310.05424, section 3.3) as pure functions: two components over confidences,
// 0 = shallow and deep disagree, 1 = they agree; fit by weighted moments, posterior, threshold, log likelihood.
// The released estimator overwrites the model's part of the responsibilities by mistake; labelWeight 1 does the same.
import { logBeta } from './special.js'

/** Confidences are held in [CLAMP, 1 - CLAMP]: a Beta density may have poles at 0 and 1. */
export const CLAMP = 1e-4

/** A variance below this (a spread of one millionth) counts as none: alpha and beta would be about 1e12 or infinite. */
const MIN_VARIANCE = 1e-12

/** A component with less than this share of the evidence counts as empty. */
const MIN_SHARE = 1e-9

/** A number for each component: [disagree, agree]. */
export type PerComponent = readonly [number, number]

/** Parameters of the mixture; alpha, beta > 0, the weights sum to 1. */
export interface BetaMixture {
  readonly alpha: PerComponent
  readonly beta: PerComponent
  readonly weight: PerComponent
}

/** Where every fit begins: densities 2 (1 - c) and 2 c, equal weights. */
export const START_MIXTURE: BetaMixture = { alpha: [1, 2], beta: [2, 1], weight: [0.5, 0.5] }

/** Prior of the components in a posterior: one half each, or the mixture's weights. */
export type MixturePrior = 'equal' | 'empirical'

/** Evidence made ready for the fit: clamped confidences, their logarithms, and labels (1 = agree), all of one length. */
export interface MixtureEvidence {
  readonly confidence: Float64Array
  readonly logConfidence: Float64Array
  readonly logRest: Float64Array
  readonly agree: Uint8Array
}

/** Why a mixture can't be fitted. */
export type FitFailure = 'no-evidence' | 'zero-variance' | 'component-without-mass'

/** A fitted mixture, or why there is none. */
export type MixtureFit =
  | { readonly mixture: BetaMixture; readonly failure: null }
  | { readonly mixture: null; readonly failure: FitFailure }

/** Clamps confidences and takes their logarithms. `agree` holds 0 or 1 for each confidence. */
export function prepareEvidence(confidences: ArrayLike<number>, agree: ArrayLike<number>): MixtureEvidence {
  const confidence = Float64Array.from(confidences, clampConfidence)
  return {
    confidence,
    logConfidence: confidence.map(Math.log),
    logRest: confidence.map((c) => Math.log1p(-c)),
    agree: Uint8Array.from(agree),
  }
}

/**
 * One step from `mixture`: responsibilities r_k = (1 - w) posterior_k + w [agree = k], then moments m, v weighted by
 * them: alpha = m (m (1 - m) / v - 1), beta = alpha (1 - m) / m, weight = mean responsibility.
 * @param labelWeight w in [0, 1]
 */
export function stepMixture(
  mixture: BetaMixture,
  evidence: MixtureEvidence,
  labelWeight: number,
): MixtureFit {
  const { confidence, logConfidence, logRest, agree } = evidence
  const count = confidence.length
  if (count === 0) return { mixture: null, failure: 'no-evidence' }
  const odds = logOddsOf(mixture, 'empirical')
  const responsibility = [new Float64Array(count), new Float64Array(count)]
  const mass = [0, 0]
  const sum = [0, 0]
  for (let i = 0; i < count; i++) {
    const z = odds.forLog * logConfidence[i] + odds.forRest * logRest[i] + odds.constant
    // Both posteriors by the smaller one, which a difference from 1 would spoil.
    const smaller = sigmoid(-Math.abs(z))
    const r0 = (1 - labelWeight) * (z > 0 ? smaller : 1 - smaller) + labelWeight * (1 - agree[i])
    const r1 = (1 - labelWeight) * (z > 0 ? 1 - smaller : smaller) + labelWeight * agree[i]
    responsibility[0][i] = r0
    responsibility[1][i] = r1
    mass[0] += r0
    mass[1] += r1
    sum[0] += r0 * confidence[i]
    sum[1] += r1 * confidence[i]
  }
  const alpha: [number, number] = [0, 0]
  const beta: [number, number] = [0, 0]
  for (const k of [0, 1]) {
    if (!(mass[k] >= MIN_SHARE * count)) return { mixture: null, failure: 'component-without-mass' }
    const mean = sum[k] / mass[k]
    let squares = 0
    for (let i = 0; i < count; i++) squares += responsibility[k][i] * (confidence[i] - mean) ** 2
    const variance = squares / mass[k]
    if (!(variance >= MIN_VARIANCE)) return { mixture: null, failure: 'zero-variance' }
    alpha[k] = mean * ((mean * (1 - mean)) / variance - 1)
    beta[k] = (alpha[k] * (1 - mean)) / mean
  }
  return { mixture: { alpha, beta, weight: [mass[0] / count, mass[1] / count] }, failure: null }
}

/** `iterations` steps from {@link START_MIXTURE}; stops at the first that fails. */
export function fitMixture(
  evidence: MixtureEvidence,
  options: { readonly labelWeight: number; readonly iterations: number },
): MixtureFit {
  let fit: MixtureFit = { mixture: START_MIXTURE, failure: null }
  for (let i = 0; i < options.iterations && fit.mixture; i++) {
    fit = stepMixture(fit.mixture, evidence, options.labelWeight)
  }
  return fit
}

/** Posterior probability of `agree` at a confidence in [0, 1] (clamped). */
export function posteriorAgree(mixture: BetaMixture, confidence: number, prior: MixturePrior): number {
  return sigmoid(logOddsAt(logOddsOf(mixture, prior), clampConfidence(confidence)))
}

/**
 * The smallest t in [low, high] such that the posterior of `agree` is at least zeta at all confidences in [t, high];
 * null when it is less at `high` itself. Exact to the last bits: the log odds A ln c + B ln(1 - c) + C of two Betas have
 * one stationary point at most, c = A / (A + B), so that bisection between it and the ends of the range misses nothing.
 */
export function findThreshold(
  mixture: BetaMixture,
  options: {
    readonly zeta: number
    readonly low: number
    readonly high: number
    readonly prior: MixturePrior
  },
): number | null {
  const odds = logOddsOf(mixture, options.prior)
  const needed = Math.log(options.zeta) - Math.log1p(-options.zeta)
  const holds = (c: number) => logOddsAt(odds, c) >= needed
  const bottom = clampConfidence(options.low)
  const top = clampConfidence(options.high)
  if (!holds(top)) return null
  const turn = odds.forLog / (odds.forLog + odds.forRest)
  const hasTurn = turn > bottom && turn < top
  if (hasTurn && !holds(turn)) return bisect(turn, top, holds)
  return holds(bottom) ? options.low : bisect(bottom, hasTurn ? turn : top, holds)
}

/** Sum over the points of the natural log of the mixture's density, weights included. */
export function mixtureLogLikelihood(mixture: BetaMixture, evidence: MixtureEvidence): number {
  const { logConfidence, logRest } = evidence
  const { alpha, beta, weight } = mixture
  const odds = logOddsOf(mixture, 'empirical')
  const constant = Math.log(weight[0]) - logBeta(alpha[0], beta[0])
  let total = 0
  for (let i = 0; i < logConfidence.length; i++) {
    const disagree = (alpha[0] - 1) * logConfidence[i] + (beta[0] - 1) * logRest[i] + constant
    const z = odds.forLog * logConfidence[i] + odds.forRest * logRest[i] + odds.constant
    // log(e^disagree + e^agree) where agree - disagree = z, without overflow.
    total += disagree + Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)))
  }
  return total
}

/** Log odds of agree against disagree: forLog * ln c + forRest * ln(1 - c) + constant. */
interface LogOdds {
  readonly forLog: number
  readonly forRest: number
  readonly constant: number
}

function logOddsOf({ alpha, beta, weight }: BetaMixture, prior: MixturePrior): LogOdds {
  const priorOdds = prior === 'equal' ? 0 : Math.log(weight[1]) - Math.log(weight[0])
  return {
    forLog: alpha[1] - alpha[0],
    forRest: beta[1] - beta[0],
    constant: priorOdds + logBeta(alpha[0], beta[0]) - logBeta(alpha[1], beta[1]),
  }
}

function logOddsAt(odds: LogOdds, confidence: number): number {
  return odds.forLog * Math.log(confidence) + odds.forRest * Math.log1p(-confidence) + odds.constant
}

function sigmoid(z: number): number {
  return 1 / (1 + Math.exp(-z))
}

function clampConfidence(confidence: number): number {
  return Math.min(Math.max(confidence, CLAMP), 1 - CLAMP)
}

/** Between `fails` and a greater `works`, to the last bit: the smallest number found at which `holds`. */
function bisect(fails: number, works: number, holds: (c: number) => boolean): number {
  let middle = (fails + works) / 2
  while (middle > fails && middle < works) {
    if (holds(middle)) works = middle
    else fails = middle
    middle = (fails + works) / 2
  }
  return works
}
