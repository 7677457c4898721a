// Checkpoint writing under SIGKILL, a few kills; many in kill.slow.test.ts.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { assertWhole, bundleWriter, judgeLanding, runWriter } from './killing.js'
import { useTemporaryFolder } from './temporaryFolder.js'

describe('checkpoint writing', () => {
  const temporary = useTemporaryFolder()
  let program = ''
  before(async () => {
    program = temporary('writer.mjs')
    await bundleWriter(program)
  })

  it('leaves a run whole when killed three times while it saves', async () => {
    const options = { program, kind: 'run', path: temporary('run') } as const
    let done = -1
    for (let kill = 0; kill < 3; kill++) {
      const report = await runWriter({ ...options, killInWrite: 3, killAfterMs: 5 })
      await assertWhole(options, report)
      assert.ok(report.done > done, 'it goes on')
      done = report.done
    }
  })

  it('leaves an overwritten folder whole when killed between its two renames', async () => {
    const options = { program, kind: 'folder', path: temporary('published') } as const
    await runWriter({ ...options, dieAt: 0 })
    const { operations = 0, done } = await runWriter({ ...options, dieAt: 0 })
    assert.equal(done, 1)
    // From the end: remove the old folder, rename it away, sync the parent (open, sync), rename the new one in.
    const report = await runWriter({ ...options, dieAt: operations - 4 })
    assert.deepEqual(judgeLanding(options), { isInside: true, isBetweenRenames: true })
    await assertWhole(options, { ...report, done: 1 })
    assert.deepEqual((await runWriter({ ...options, dieAt: 0 })).done, 2)
    assert.deepEqual(readdirSync(dirname(options.path)), ['published'])
  })
})
