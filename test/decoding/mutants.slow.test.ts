// Every mutant breaks every law that was found to notice it. A fixed seed: these are checks of the laws, not of the code.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { laws } from './laws.js'
import { realPolicies } from './lawSubject.js'
import type { Subject } from './lawSubject.js'
import { mutants } from './mutants.js'
import { lawCases } from './randomCases.js'

const NUM_RUNS = 100
const SEED = 20231

describe(`mutants of decoding: ${mutants.length} known mistakes`, () => {
  before(() => chooseBackend({ backend: 'wasm' }))
  for (const mutant of mutants) {
    for (const number of mutant.laws) {
      it(`law ${number} notices: ${mutant.name}`, async () => {
        const { law, rows } = Object.values(laws)[number - 1]
        const { undo, subject } = mutant.make()
        try {
          const mutated: Subject = { makeEngine: createTfjsEngine, policies: realPolicies, ...subject }
          const property = fc.asyncProperty(lawCases({ minRows: rows[0], maxRows: rows[1] }), (drawn) =>
            law(drawn, mutated, { checked: 0, excused: 0 }),
          )
          const outcome = await fc.check(property, { numRuns: NUM_RUNS, seed: SEED, endOnFailure: true })
          assert.ok(outcome.failed, `held in ${outcome.numRuns} cases`)
          assert.ok(
            outcome.errorInstance instanceof assert.AssertionError,
            `broke otherwise: ${String(outcome.errorInstance)}`,
          )
        } finally {
          undo()
        }
      }).timeout(600_000)
    }
  }
})
