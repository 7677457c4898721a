// `--profit` for the commands that decode: from the option to a rule, and what it decides in a line on standard error.
import type { ConfidenceName, MatrixGroup } from '../config/index.js'
import type { Policy, Selection } from '../decoding/index.js'
import type { ProfitDecision, ProfitRule } from '../evaluation/index.js'
import type { OpenedCheckpoint } from '../pipeline/index.node.js'
import type { CommandContext } from './command.js'

/** The options that concern it, of a command that decodes. */
export interface ProfitFlags {
  readonly profit: string
  readonly maxPending?: number | null
  readonly confidence: ConfidenceName
  readonly exactConfidence: boolean
  readonly evidence?: boolean
  readonly flushAtEnd?: boolean
  readonly keepFloat?: readonly MatrixGroup[]
  readonly batchSize?: number
}

/** Makes the rule for a checkpoint; undefined where it is off or stands aside. */
export type OpenProfit = (
  checkpoint: OpenedCheckpoint,
  how: { readonly policy: Policy; readonly selection: Selection },
) => Promise<ProfitRule | undefined>

/** Reads what `--profit` names, before anything else is opened. Throws as `readCosts` does. */
export async function prepareProfit(flags: ProfitFlags, context: CommandContext): Promise<OpenProfit> {
  const { profit, maxPending, confidence, exactConfidence, evidence, flushAtEnd, keepFloat, batchSize } =
    flags
  const { output, signal } = context
  if (profit === 'off') return async () => undefined
  const { openProfitRule, readCosts } = await import('../pipeline/index.node.js')
  const costs = profit === 'measured' ? undefined : await readCosts(profit)
  if (maxPending !== undefined) {
    output.note('profit: --max-pending is given and holds, so nothing is chosen')
    return async () => undefined
  }
  let told = ''
  return (checkpoint, { policy, selection }) =>
    openProfitRule({
      checkpoint,
      policy,
      selection,
      confidence,
      exactConfidence,
      evidence,
      flushAtEnd,
      keepFloat,
      batchSize,
      costs,
      signal,
      onMeasure: () => output.note('profit: measuring what passes cost, once for this model and machine'),
      onWarning: (text) => output.warn(text),
      onDecision: (decision) => {
        const choice = describeChoice(decision, policy)
        // A trial is no change of mind, and what follows it tells only where it was one.
        if (decision.reason === 'trial' || choice === told) return
        told = choice
        output.note(`profit: ${choice}${describeReason(decision)}`)
      },
    })
}

function describeChoice({ isFull, maxPending }: ProfitDecision, { name }: Policy): string {
  if (isFull) return 'full'
  return maxPending === null
    ? `${name} without a bound of the stack`
    : `${name} with max-pending ${maxPending}`
}

function describeReason({ reason, msPerToken, fullMsPerToken, exitShare }: ProfitDecision): string {
  if (reason === 'evidence') return ', to gather evidence for a threshold'
  const share = `${Math.round(100 * exitShare)}% of tokens expected to leave early`
  return `: ${msPerToken.toFixed(2)} ms a token with early exits, full ${fullMsPerToken.toFixed(2)} (${share})`
}
