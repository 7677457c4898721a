// Law 6 of decoding: nothing leaks.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { beams, decode } from '../../src/decoding/index.js'
import type { DecodeOptions, DecoderEngine } from '../../src/decoding/index.js'
import { Random } from '../../src/random.js'
import { optionsOf, withEngine } from './lawSubject.js'
import type { Law, Tally } from './lawSubject.js'
import type { LawCase } from './randomCases.js'

/**
 * Law 6: as many tensors after as before, when a sequence ends, when its reader stops early, when the engine throws, and
 * when it is aborted inside a flush; with a policy that truncates, or with beams, which move and copy rows, by the seed.
 */
export const law6: Law = (drawn, subject, tally) =>
  withEngine(drawn, subject, async (engine) => {
    const { full, lossless, staticExit } = subject.policies
    const ways: readonly DecodeOptions[] = [
      optionsOf(drawn, lossless(drawn.thresholds[0] * 0.5)),
      { ...optionsOf(drawn, full()), selection: beams({ beams: 3 }) },
      { ...optionsOf(drawn, staticExit()), selection: beams({ beams: 3 }) },
    ]
    await checkBalance(engine, { drawn, options: ways[drawn.seed % ways.length], tally })
  })

async function checkBalance(
  engine: DecoderEngine,
  job: { readonly drawn: LawCase; readonly options: DecodeOptions; readonly tally: Tally },
): Promise<void> {
  const { drawn, options, tally } = job
  const drain = async (engine: DecoderEngine, more: Partial<DecodeOptions> = {}) => {
    let numEvents = 0
    for await (const _ of decode(engine, drawn.sources, { ...options, ...more })) numEvents++
    return numEvents
  }
  const balanced = async (what: string, use: () => Promise<unknown>) => {
    const before = tf.memory().numTensors
    await use()
    assert.equal(tf.memory().numTensors, before, what)
    tally.checked++
  }
  let numEvents = 0
  await balanced('finished', async () => void (numEvents = await drain(engine)))
  await balanced('left by its reader', async () => {
    let left = new Random(drawn.seed).integer(numEvents) + 1
    for await (const _ of decode(engine, drawn.sources, options)) if (--left === 0) break
  })
  for (const segment of [0, 1]) {
    // In its first run, and in a later one where there is any: with beams the second has rows that were copied.
    for (const nth of [1, 2]) {
      const failure = new Error('on purpose')
      await balanced(`thrown in segment ${segment}, run ${nth}`, async () => {
        const throwing = interrupt(engine, { segment, nth }, () => {
          throw failure
        })
        await settles(drain(throwing.engine), throwing.hasHappened, failure)
      })
      await balanced(`aborted in segment ${segment}, run ${nth}`, async () => {
        const controller = new AbortController()
        const reason = new Error('enough')
        const aborting = interrupt(engine, { segment, nth }, () => controller.abort(reason))
        await settles(drain(aborting.engine, { signal: controller.signal }), aborting.hasHappened, reason)
      })
    }
  }
}

/** Rejects with the reason where the interruption came, and ends well where the run that it waits for never did. */
async function settles(work: Promise<unknown>, hasHappened: () => boolean, reason: Error): Promise<void> {
  try {
    await work
  } catch (error) {
    assert.equal(error, reason)
    return
  }
  assert.equal(hasHappened(), false, 'an interruption is passed on')
}

/** The engine, with something happening when a segment has begun its nth run. */
function interrupt(
  engine: DecoderEngine,
  at: { readonly segment: number; readonly nth: number },
  happen: () => void,
): { readonly engine: DecoderEngine; readonly hasHappened: () => boolean } {
  let numRuns = 0
  const interrupted: DecoderEngine = {
    info: engine.info,
    dispose: () => engine.dispose(),
    encode: async (sources, options) => {
      const encoded = await engine.encode(sources, options)
      return {
        numRows: encoded.numRows,
        dispose: () => encoded.dispose(),
        open: (options) => {
          const session = encoded.open(options)
          return {
            push: (row, token) => session.push(row, token),
            truncate: (row, length) => session.truncate(row, length),
            reorder: (rows, from) => session.reorder(rows, from),
            dispose: () => session.dispose(),
            run: async (run) => {
              const pending = session.run(run)
              if (run.segment === at.segment && ++numRuns === at.nth) {
                try {
                  happen()
                } catch (error) {
                  await pending
                  throw error
                }
              }
              return pending
            },
          }
        },
      }
    },
  }
  return { engine: interrupted, hasHappened: () => numRuns >= at.nth }
}
