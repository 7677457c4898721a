// Declares the property tests of all laws for an engine.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { laws } from './laws.js'
import { realPolicies } from './lawSubject.js'
import type { MakeEngine, Tally } from './lawSubject.js'
import { lawCases } from './randomCases.js'

/** How much is checked. */
interface LawExtent {
  readonly numRuns: number
  /** Numbers of laws. Neutral: all. */
  readonly only?: readonly number[]
}

/** `numRuns` random cases for each law; those of several rows are as long as three of one, so fewer. */
export function checkLaws(makeEngine: MakeEngine, { numRuns, only }: LawExtent): void {
  describe(`laws of decoding, ${numRuns} random cases each`, () => {
    for (const [name, { law, rows }] of Object.entries(laws)) {
      if (only && !only.some((number) => name.startsWith(`law ${number}:`))) continue
      it(name, async () => {
        const tally: Tally = { checked: 0, excused: 0 }
        const subject = { makeEngine, policies: realPolicies }
        const cases = lawCases({ minRows: rows[0], maxRows: rows[1] })
        await fc.assert(
          fc.asyncProperty(cases, (drawn) => law(drawn, subject, tally)),
          { numRuns: rows[1] > 2 ? Math.ceil(numRuns / 3) : numRuns },
        )
        assert.ok(
          tally.excused <= Math.max(1, tally.checked * 0.01),
          `${tally.excused} of ${tally.checked} excused: more than 1 %`,
        )
      }).timeout(1_200_000)
    }
  })
}
