// Traces: shares and agreements that are drawn, and files that a run wrote.
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drawnTrace, readTrace, recordedTrace } from '../../bench/decode/exitTrace.js'
import { Random } from '../../src/random.js'

describe('drawn exits', () => {
  it('leave and agree as often as is asked, independently, and alike for equal seeds', () => {
    const COUNT = 20_000
    for (const [exitShare, agreement] of [
      [0.9, 0.75],
      [0.25, 0.95],
    ]) {
      const draw = () => {
        const trace = drawnTrace(new Random(3), { exitShare, agreement })
        return Array.from({ length: COUNT }, (_, i) => [trace.leaves(i), trace.agrees(i)])
      }
      const drawn = draw()
      const shareOf = (isCounted: (pair: boolean[]) => boolean) => drawn.filter(isCounted).length / COUNT
      // Four standard deviations of a mean over 20,000 draws are at most 0.015.
      assert.ok(Math.abs(shareOf(([leaves]) => leaves) - exitShare) < 0.015)
      assert.ok(Math.abs(shareOf(([, agrees]) => agrees) - agreement) < 0.015)
      assert.ok(Math.abs(shareOf(([leaves, agrees]) => leaves && agrees) - exitShare * agreement) < 0.015)
      assert.deepEqual(draw(), drawn)
    }
  })

  it('at 0 and 1 are certain', () => {
    const [none, all] = [0, 1].map((p) => drawnTrace(new Random(1), { exitShare: p, agreement: p }))
    for (let i = 0; i < 1000; i++) {
      assert.deepEqual([none.leaves(i), none.agrees(i)], [false, false])
      assert.deepEqual([all.leaves(i), all.agrees(i)], [true, true])
    }
  })
})

describe('recorded exits', () => {
  let folder: string
  before(async () => void (folder = await mkdtemp(join(tmpdir(), 'shallowdeep-trace-'))))
  after(() => rm(folder, { recursive: true }))
  const written = async (text: string) => {
    const path = join(folder, 'trace.jsonl')
    await writeFile(path, text)
    return path
  }

  it('are the lists of exits in the lines of generate --json', async () => {
    const path = await written(
      '{"text":"a","tokens":[4,1],"exits":["shallow","deep"],"exitLayers":[2,6]}\n\n{"exits":["deep"]}\n',
    )
    assert.deepEqual(await readTrace(path), [['shallow', 'deep'], ['deep']])
  })

  it('begin again where a sequence is longer', () => {
    const trace = recordedTrace(['shallow', 'shallow', 'deep'])
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5].map((position) => trace.leaves(position)),
      [true, true, false, true, true, false],
    )
  })

  it('are refused with their line where they are none', async () => {
    for (const [text, code, place] of [
      ['{"exits":["deep"]}\nnonsense\n', 'bench.bad-trace', 'line 2'],
      ['{"exits":["middle"]}\n', 'config.invalid-value', 'line 1'],
      ['{"exits":[]}\n', 'config.invalid-value', 'line 1'],
      ['\n', 'bench.bad-trace', 'has none'],
    ]) {
      await assert.rejects(readTrace(await written(text)), (error: Error & { code: string }) => {
        assert.equal(error.code, code)
        assert.ok(error.message.includes(place), error.message)
        return true
      })
    }
  })
})
