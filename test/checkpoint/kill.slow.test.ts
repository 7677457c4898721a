// Checkpoint writing under SIGKILL: at swept times until enough kills have landed inside a write, and before each single
// file operation of a write.
import assert from 'node:assert/strict'
import { cpSync, readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { assertWhole, bundleWriter, judgeLanding, runWriter } from './killing.js'
import type { WriterKind } from './killing.js'
import { useTemporaryFolder } from './temporaryFolder.js'

/** Kills that must land after the first byte and before the last rename, for each kind of writing. */
const MIN_INSIDE = 30
const MAX_KILLS = 200

describe('checkpoint writing under many kills', function () {
  this.timeout(240_000)
  const temporary = useTemporaryFolder()
  let program = ''
  before(async () => {
    program = temporary('writer.mjs')
    await bundleWriter(program)
  })

  const kinds: readonly (readonly [WriterKind, string])[] = [
    ['run', 'a training run'],
    ['folder', 'a published folder that is overwritten'],
  ]
  for (const [kind, what] of kinds) {
    it(`leaves ${what} whole when killed at swept moments, at least ${MIN_INSIDE} of them inside a write`, async () => {
      const options = { program, kind, path: temporary('target') }
      const { durationsMs } = await runWriter({ ...options, killInWrite: 5 })
      const typicalMs = durationsMs.toSorted((a, b) => a - b)[durationsMs.length >> 1]
      let numInside = 0
      let numKills = 0
      let done = -1
      while (numInside < MIN_INSIDE && numKills < MAX_KILLS) {
        // Steps of the golden section visit all parts of a write evenly, however many kills there are.
        const killAfterMs = ((numKills * 0.618034) % 1) * typicalMs
        const report = await runWriter({ ...options, killAfterMs, killInWrite: 1 + (numKills % 2) })
        numKills++
        if (judgeLanding(options).isInside) numInside++
        await assertWhole(options, report)
        done = Math.max(done, report.done)
      }
      assert.ok(numInside >= MIN_INSIDE, `only ${numInside} of ${numKills} kills landed inside a write`)
      assert.ok(done > 10, `it went on to write ${done}`)
    })

    it(`leaves ${what} whole when killed before any single file operation`, async () => {
      const base = temporary('target')
      for (let write = 0; write < 4; write++) await runWriter({ program, kind, path: base, dieAt: 0 })
      let numInside = 0
      let numOperations = Infinity
      for (let dieAt = 1; dieAt <= numOperations; dieAt++) {
        const options = { program, kind, path: temporary('target') }
        cpSync(base, options.path, { recursive: true })
        const report = await runWriter({ ...options, dieAt })
        if (report.operations !== undefined) {
          assert.equal(report.operations, dieAt - 1)
          numOperations = report.operations
          break
        }
        if (judgeLanding(options).isInside) numInside++
        await assertWhole(options, { ...report, done: 3 })
        // The next writer finishes what it was about, and leaves nothing behind.
        const next = await runWriter({ ...options, dieAt: 0 })
        assert.ok(next.done === 4 || next.done === 5)
        await assertWhole(options, next)
        if (kind === 'folder') assert.deepEqual(readdirSync(dirname(options.path)), ['target'])
      }
      assert.ok(numOperations > 15 && numInside >= 6, `${numOperations} operations, ${numInside} inside`)
    })
  }
})
