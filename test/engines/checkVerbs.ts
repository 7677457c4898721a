// Declares the test that a session's verbs in any order, over any exits and rows, answer as the plain engine does, which
// has no caches.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import fc from 'fast-check'
import type { MakeEngine } from '../decoding/lawSubject.js'
import { lawCases, weightsOf } from '../decoding/randomCases.js'
import { createReferenceEngine } from '../decoding/referenceEngine.js'
import { ReferenceModel } from '../decoding/referenceModel.js'

type Verb =
  | { readonly verb: 'push'; readonly rows: readonly number[]; readonly token: number }
  | {
      readonly verb: 'run'
      readonly rows: readonly number[]
      readonly segment: number
      readonly newestOnly: boolean
    }
  | { readonly verb: 'truncate'; readonly row: number; readonly length: number }
  | { readonly verb: 'reorder'; readonly source: number; readonly from: readonly [number, number] }

/** Rows of each of two sources. */
const ROWS = 2

const someRows = fc.subarray([0, 1, 2, 3], { minLength: 1 })

const verbs: fc.Arbitrary<Verb> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ verb: fc.constant('push'), rows: someRows, token: fc.nat(19) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      verb: fc.constant('run'),
      rows: someRows,
      segment: fc.nat(3),
      newestOnly: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ verb: fc.constant('truncate'), row: fc.nat(3), length: fc.nat(6) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      verb: fc.constant('reorder'),
      source: fc.nat(1),
      from: fc.tuple(fc.nat(1), fc.nat(1)),
    }),
  },
)

/** Declares the test. */
export function checkVerbs(makeEngine: MakeEngine): void {
  it('answer as the plain engine does, over segments of one layer each, and leave nothing behind', () =>
    fc.assert(
      fc.asyncProperty(
        lawCases({ minRows: 2, maxRows: 2 }),
        fc.array(verbs, { minLength: 5, maxLength: 30 }),
        fc.boolean(),
        async (drawn, script, isForbidding) => {
          const { config, sources } = drawn
          const weights = weightsOf(drawn)
          const engine = await makeEngine({ config, weights })
          const reference = createReferenceEngine(new ReferenceModel(config, weights))
          const exits = Array.from({ length: config.decoderLayers }, (_, i) => i + 1)
          const options = {
            exits,
            rowsPerSource: ROWS,
            ...(isForbidding && {
              forbidden: (row: number, position: number) => [(7 * row + position) % config.vocabSize],
            }),
          }
          const before = tf.memory().numTensors
          const encoded = await engine.encode(sources)
          const [actual, expected] = [encoded.open(options), (await reference.encode(sources)).open(options)]
          try {
            for (const step of script) {
              if (step.verb === 'push') {
                for (const session of [actual, expected])
                  for (const row of step.rows) session.push(row, step.token)
              } else if (step.verb === 'truncate') {
                for (const session of [actual, expected]) session.truncate(step.row, step.length)
              } else if (step.verb === 'reorder') {
                const [rows, from] = [[0, 1], step.from].map((list) =>
                  list.map((i) => step.source * ROWS + i),
                )
                for (const session of [actual, expected]) session.reorder(rows, from)
              } else {
                const run = { ...step, segment: step.segment % exits.length, exit: ['logits'] } as const
                const [ours, theirs] = [await actual.run(run), await expected.run(run)]
                assert.deepEqual(
                  ours.map((choices) => choices.length),
                  theirs.map((choices) => choices.length),
                )
                for (const [i, { logits }] of ours.flat().entries()) {
                  for (const [token, value] of theirs.flat()[i].logits!.entries()) {
                    // float32 against float64; some random models amplify rounding: 0.8e-4 was seen in 20,000 positions.
                    const isClose = Math.abs(logits![token] - value) <= 3e-4 * (1 + Math.abs(value))
                    if (!isClose) assert.fail(`token ${token}: ${logits![token]}, not ${value}`)
                  }
                }
              }
            }
          } finally {
            actual.dispose()
            encoded.dispose()
            assert.equal(tf.memory().numTensors, before)
            engine.dispose()
          }
        },
      ),
      { numRuns: 60 },
    )).timeout(60_000)
}
