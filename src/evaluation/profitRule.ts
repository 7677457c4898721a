// The profit rule: before the first token of a session it takes full decoding where early exits would cost more than they
// save, else the bound of the stack under which they cost least. It reads no clock: what passes cost is given to it, how
// tokens leave it learns from the sequences that it has seen.
import type { Calibration } from '../calibration/index.js'
import {
  decode,
  full,
  policyCalibrator,
  type DecodeEvent,
  type DecodeOptions,
  type DecoderEngine,
  type Policy,
  type RowResult,
} from '../decoding/index.js'
import { ShallowDeepError } from '../errors.js'
import { addCounts, countEvidence, countExits, OPTIMISTIC, type SeenSequence } from './exitEstimate.js'
import { chooseByCosts, type DecodingCosts, type LeavePattern, type ProfitChoice } from './profitChoice.js'

/** What a rule rests on. */
export interface ProfitRuleOptions {
  /** Of the engine that decodes, with as many rows as a batch has. */
  readonly costs: DecodingCosts
  /** Of the shallow exit and the confidence that decide. Neutral: undefined, early exits are tried first. */
  readonly calibration?: Pick<Calibration, 'histogram'>
  /** Called with each decision. */
  readonly onDecision?: (decision: ProfitDecision) => void
}

/** What was decided for a session, and why. */
export interface ProfitDecision extends ProfitChoice {
  /**
   * `cheapest`: by the estimate. `trial`: early exits once more, though full decoding is thought to be cheaper, to see
   * whether that still holds. `evidence`: early exits, since a calibrator has too little evidence for a threshold yet.
   */
  readonly reason: 'cheapest' | 'trial' | 'evidence'
  /** Share of tokens, 0 to 1, that are expected to leave early where that is allowed. */
  readonly exitShare: number
}

/** What a decision is made for. */
export interface ProfitQuestion {
  /** One with a threshold. */
  readonly policy: Policy
  /** As in the options of the loop. */
  readonly flushAtEnd?: boolean
  readonly maxNewTokens?: number
}

/** Tokens that are looked back on. */
const WINDOW_TOKENS = 256
/** Sequences whose mean length is expected of the next one. */
const WINDOW_LENGTHS = 32
/** Expected before any was seen; and of longer ones only the first part counts, as what their ends cost no longer matters. */
const [UNKNOWN_LENGTH, MOST_LENGTH] = [32, 64]
/** Sessions of full decoding before a trial: at first, and at most (each vain trial doubles them). */
const [FIRST_PAUSE, MOST_PAUSE] = [32, 1024]
/** Trials may cost this share of the time of full decoding. */
const TRIAL_LOSS = 0.01
/** Sessions with early exits after which earlier trials no longer count as vain. */
const RECOVERY = 8

/** Decides session by session. Batches are decided for as a whole. */
export class ProfitRule {
  /** The newest decision; undefined before the first. */
  last: ProfitDecision | undefined
  private known
  private seen: SeenSequence[] = []
  private lengths: number[] = []
  private numFull = 0
  private numEarly = 0
  private numTrials = 0

  constructor(private readonly options: ProfitRuleOptions) {
    const { calibration } = options
    this.known = (threshold: number) => (calibration ? countEvidence(calibration, threshold) : OPTIMISTIC)
  }

  /** Decides for the session that begins now. Throws `evaluation.profit-policy` for a policy without a threshold. */
  decide(question: ProfitQuestion): ProfitDecision {
    const pattern = this.expect(question)
    const choice = chooseByCosts(this.options.costs, pattern)
    const reason = this.reasonFor(choice, question, pattern)
    const isFull = choice.isFull && reason === 'cheapest'
    if (isFull) {
      this.numFull++
      this.numEarly = 0
    } else {
      this.numFull = 0
      if (++this.numEarly >= RECOVERY) this.numTrials = 0
    }
    this.last = { ...choice, isFull, reason, exitShare: pattern.exitShare }
    this.options.onDecision?.(this.last)
    return this.last
  }

  /**
   * Takes a sequence that has ended, however it was decoded.
   * @param fallen confidences of the tokens that left early and fell at a flush
   */
  observe({ tokens, threshold, confidences, exits }: RowResult, fallen: readonly number[] = []): void {
    this.lengths = [...this.lengths, tokens.length].slice(-WINDOW_LENGTHS)
    if (threshold === null) return
    this.seen.push({ confidences, exits, fallen })
    let numTokens = this.seen.reduce((sum, each) => sum + each.exits.length, 0)
    while (this.seen.length > 1 && numTokens > WINDOW_TOKENS) numTokens -= this.seen.shift()!.exits.length
  }

  private expect({ policy, flushAtEnd, maxNewTokens = Infinity }: ProfitQuestion): LeavePattern {
    const calibrator = policyCalibrator(policy)
    const threshold = calibrator?.threshold ?? (policy.threshold as number | null)
    if (threshold === null) throw noThreshold(policy)
    const counts = addCounts([
      this.known(threshold),
      ...this.seen.map((result) => countExits(result, threshold)),
    ])
    const { lengths } = this
    const length =
      lengths.length > 0 ? lengths.reduce((sum, each) => sum + each) / lengths.length : UNKNOWN_LENGTH
    const numTokens = Math.round(Math.min(length, MOST_LENGTH, maxNewTokens))
    const exitShare = counts.leaving / counts.tokens
    if (policy.verify) {
      const agreement = counts.verified > 0 ? counts.standing / counts.verified : 1
      return { exitShare, numTokens, agreement }
    }
    const isFlushed = flushAtEnd ?? calibrator?.wantsEvidence(0) ?? false
    return { exitShare, numTokens, ...(isFlushed && { agreement: 1 }) }
  }

  private reasonFor(
    choice: ProfitChoice,
    { policy }: ProfitQuestion,
    pattern: LeavePattern,
  ): ProfitDecision['reason'] {
    if (!choice.isFull) return 'cheapest'
    const { costs } = this.options
    const best = { ...pattern, exitShare: 1, ...(pattern.agreement !== undefined && { agreement: 1 }) }
    // Nothing that could be learned would change it.
    if (chooseByCosts(costs, best).isFull) return 'cheapest'
    if (lacksEvidence(policy)) return 'evidence'
    const loss = choice.msPerToken / choice.fullMsPerToken - 1
    const pause = Math.max(Math.min(FIRST_PAUSE * 2 ** this.numTrials, MOST_PAUSE), loss / TRIAL_LOSS)
    if (this.numFull < pause) return 'cheapest'
    // What was known has led here and may no longer hold: the trial is judged by itself.
    this.known = () => OPTIMISTIC
    this.seen = []
    this.numTrials++
    return 'trial'
  }
}

/** How to decode under a rule. */
export interface DecodeByProfitOptions extends DecodeOptions {
  readonly profit: ProfitRule
}

/**
 * As {@link decode}, but the rule decides before the first token, by its costs and the sequences it has seen, and sees
 * these. Where `maxPending` is given, that holds, and the rule stands aside.
 */
export async function* decodeByProfit(
  engine: DecoderEngine,
  sources: readonly ArrayLike<number>[],
  { profit, ...options }: DecodeByProfitOptions,
): AsyncGenerator<DecodeEvent, void, void> {
  if (options.maxPending !== undefined) return yield* decode(engine, sources, options)
  const { isFull, maxPending } = profit.decide(options)
  const session = isFull ? { ...options, policy: full() } : { ...options, maxPending }
  const fallen = sources.map((): number[] => [])
  for await (const event of decode(engine, sources, session)) {
    // Such a token stands in place of the first that it takes back, whose confidence it keeps.
    if (event.type === 'token' && event.retracted > 0) fallen[event.row].push(event.confidence!)
    if (event.type === 'end') profit.observe(event.result, fallen[event.row])
    yield event
  }
}

function lacksEvidence(policy: Policy): boolean {
  const calibrator = policyCalibrator(policy)
  if (!calibrator?.isAdaptive) return false
  const { code } = calibrator.diagnostics
  return code === 'calibration.no-evidence' || code === 'calibration.too-little-evidence'
}

function noThreshold({ name }: Policy): ShallowDeepError {
  return new ShallowDeepError({
    code: 'evaluation.profit-policy',
    message: `the profit rule chooses between early exits and full decoding, policy ${name} leaves nothing to choose`,
    hint: 'take free, rollback or lossless, or leave profit off',
    details: { policy: name },
  })
}
