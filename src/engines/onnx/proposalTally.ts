// Whether proposing tokens pays: in which vocabularies, and after what has come of it so far.

/** Vocabularies from this size on are worth a second head: at 5,000 pieces it costs what it saves, at 32,128 less than half. */
export const FEWEST_TOKENS = 16_000

/** Passes whose tokens were asked of the 8-bit head, and those of them where all were proven. */
export interface ProposalTally {
  asked: number
  proven: number
}

/** Untrained or very flat heads prove little; what is then chosen is the same, so that counts may decide. */
export function isWorthwhile({ asked, proven }: ProposalTally): boolean {
  return asked < 32 || proven >= 0.6 * asked
}
