// Law 6 of decoding: nothing leaks.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import { decode } from '../../src/decoding/index.js'
import type { DecodeOptions, DecoderEngine } from '../../src/decoding/index.js'
import { Random } from '../../src/random.js'
import { optionsOf, withEngine } from './lawSubject.js'
import type { Law } from './lawSubject.js'

/**
 * Law 6: as many tensors after as before, when a sequence ends, when its reader stops early, when the engine throws, and
 * when it is aborted inside a flush.
 */
export const law6: Law = (drawn, subject, tally) =>
  withEngine(drawn, subject, async (engine) => {
    const options = optionsOf(drawn, subject.policies.lossless(drawn.thresholds[0] * 0.5))
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
      const failure = new Error('on purpose')
      await balanced(`thrown in segment ${segment}`, async () => {
        const throwing = interrupt(engine, segment, () => {
          throw failure
        })
        await assert.rejects(drain(throwing), (error) => error === failure)
      })
      await balanced(`aborted in segment ${segment}`, async () => {
        const controller = new AbortController()
        const reason = new Error('enough')
        const aborting = interrupt(engine, segment, () => controller.abort(reason))
        await assert.rejects(drain(aborting, { signal: controller.signal }), (error) => error === reason)
      })
    }
  })

/** The engine, with something happening whenever a segment has begun to run. */
function interrupt(engine: DecoderEngine, segment: number, happen: () => void): DecoderEngine {
  return {
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
              if (run.segment === segment) {
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
}
