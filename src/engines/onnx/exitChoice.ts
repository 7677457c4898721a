// An exit's choice from what its graph tells: the best tokens and their probabilities, and the logits where more is asked.
import type { ExitChoice, ExitFeature, TokenCandidate } from '../../decoding/index.js'
import { notANumberError } from '../checks.js'
import type { RuntimeTensor, RuntimeTensors } from './runtime.js'

/** Added to the logits of tokens that may not be chosen. */
const MASKED = -1e9

/** What an exit is asked at one position. */
export interface ExitQuery {
  readonly features: readonly ExitFeature[]
  /** Of the feature `candidates`. */
  readonly numCandidates: number
  /** Tokens that may not be chosen. */
  readonly forbidden: readonly number[]
}

/** Outputs of the exit's graph that answer the queries. */
export function exitOutputs(queries: readonly ExitQuery[]): Readonly<Record<string, null>> {
  const needs = { best: null, probabilities: null, logit_sum: null }
  return queries.some(needsLogits) ? { ...needs, logits: null } : needs
}

function needsLogits({ features, forbidden }: ExitQuery): boolean {
  const wants = (feature: ExitFeature) => features.includes(feature)
  return forbidden.length > 0 || wants('logits') || wants('entropy') || wants('candidates')
}

/** The choices at positions, one query each. Throws `engine.not-a-number` where the logits hold NaN. */
export function readChoices(outputs: RuntimeTensors, queries: readonly ExitQuery[]): ExitChoice[] {
  if (numbersOf(outputs.logit_sum).some(Number.isNaN)) throw notANumberError()
  const best = outputs.best.data as BigInt64Array
  const probabilities = numbersOf(outputs.probabilities)
  return queries.map((query, n) => {
    if (needsLogits(query)) {
      const vocabSize = outputs.logits.dims[1]
      const logits = numbersOf(outputs.logits).slice(n * vocabSize, (n + 1) * vocabSize)
      return chooseFrom(logits, query)
    }
    return {
      token: Number(best[2 * n]),
      ...(query.features.includes('probabilities') && {
        top1: probabilities[2 * n],
        top2: probabilities[2 * n + 1],
      }),
    }
  })
}

function numbersOf(tensor: RuntimeTensor): Float32Array {
  return tensor.data as Float32Array
}

/** Chooses from logits [V], which it changes: forbidden tokens are masked. */
function chooseFrom(logits: Float32Array, { features, numCandidates, forbidden }: ExitQuery): ExitChoice {
  const wants = (feature: ExitFeature) => features.includes(feature)
  // Candidates keep the share that forbidden tokens have of the distribution.
  const candidatesNormaliser = wants('candidates') ? logSumExp(logits) : 0
  for (const token of forbidden) logits[token] += MASKED
  const order = largest(logits, Math.max(2, wants('candidates') ? numCandidates : 0))
  const normaliser = wants('probabilities') || wants('entropy') ? logSumExp(logits) : 0
  const probability = (rank: number) => Math.exp(logits[order[rank]] - normaliser)
  return {
    token: order[0],
    ...(wants('probabilities') && { top1: probability(0), top2: probability(1) }),
    ...(wants('entropy') && { entropy: normaliser - expectation(logits, normaliser) }),
    ...(wants('candidates') && {
      candidates: order
        .slice(0, numCandidates)
        .filter((token) => logits[token] > MASKED / 2)
        .map((token): TokenCandidate => ({ token, logProbability: logits[token] - candidatesNormaliser })),
    }),
    ...(wants('logits') && { logits }),
  }
}

/** Indices of the `count` largest values, largest first, of equal ones the lower first. */
function largest(values: Float32Array, count: number): number[] {
  const best: number[] = []
  for (let i = 0; i < values.length; i++) {
    if (best.length === count && !(values[i] > values[best[count - 1]])) continue
    let place = best.length
    while (place > 0 && values[i] > values[best[place - 1]]) place--
    best.splice(place, 0, i)
    if (best.length > count) best.pop()
  }
  return best
}

function logSumExp(logits: Float32Array): number {
  let most = -Infinity
  for (const logit of logits) most = Math.max(most, logit)
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - most)
  return most + Math.log(sum)
}

/** Mean of the logits under their own distribution. */
function expectation(logits: Float32Array, normaliser: number): number {
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - normaliser) * logit
  return sum
}
