// A training run's folder: last and best, retention, left-overs of killed writers, and damaged folders.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { openRun, readRun } from '../../src/checkpoint/index.node.js'
import type { Run } from '../../src/checkpoint/index.node.js'
import { useTemporaryFolder } from './temporaryFolder.js'

const files = (content: string) => new Map<string, string | Uint8Array>([['state', content]])
const stateOf = (path: string | undefined) => readFileSync(join(path ?? '', 'state'), 'utf8')
const save = (run: Run, step: number, best = false) =>
  run.save({ step, files: files(`${step}`), best, info: { step } })

describe('run folder', () => {
  const temporary = useTemporaryFolder()

  it('begins empty and names the last and the best', async () => {
    const folder = temporary('run')
    const run = await openRun(folder)
    assert.deepEqual([run.last(), run.best(), run.checkpoints()], [undefined, undefined, []])
    await save(run, 10)
    assert.deepEqual([run.last(), run.best()], [join(folder, 'step-10'), undefined])
    await save(run, 20, true)
    await save(run, 30)
    for (const view of [run, await readRun(folder), await openRun(folder)]) {
      assert.equal(stateOf(view.last()), '30')
      assert.equal(stateOf(view.best()), '20')
      assert.deepEqual(
        view.checkpoints().map(({ step, info }) => [step, info]),
        [20, 30].map((step) => [step, { step }]),
      )
    }
  })

  it('keeps the newest and the best and removes the others', async () => {
    const folder = temporary('run')
    const run = await openRun(folder, { keepLast: 2 })
    for (const step of [1, 2, 3, 4, 5, 6]) await save(run, step, step === 2)
    assert.deepEqual(readdirSync(folder).sort(), ['index.json', 'step-2', 'step-5', 'step-6'])
    await save(run, 7, true)
    assert.deepEqual(readdirSync(folder).sort(), ['index.json', 'step-6', 'step-7'])
    const one = await openRun(folder, { keepLast: 1 })
    await save(one, 8)
    assert.deepEqual(readdirSync(folder).sort(), ['index.json', 'step-7', 'step-8'])
  })

  it('replaces a step that is saved again, and what it had earned', async () => {
    const folder = temporary('run')
    const run = await openRun(folder)
    await save(run, 5, true)
    await save(run, 6)
    await run.save({ step: 5, files: files('again'), best: false })
    assert.equal(stateOf(run.last()), 'again')
    assert.equal(run.best(), undefined)
    assert.deepEqual(
      (await readRun(folder)).checkpoints().map(({ step }) => step),
      [6, 5],
    )
  })

  it('saves one after the other when asked for several at once', async () => {
    const run = await openRun(temporary('run'), { keepLast: 9 })
    await Promise.all([save(run, 3), save(run, 1), save(run, 2)])
    assert.deepEqual(
      run.checkpoints().map(({ step }) => step),
      [3, 1, 2],
    )
  })

  it('goes on after a save that failed', async () => {
    const run = await openRun(temporary('run'))
    const refused = run.save({ step: 1, files: new Map([['a/b', '']]), best: false })
    const next = save(run, 2)
    await assert.rejects(refused, { code: 'checkpoint.bad-file-name' })
    await next
    assert.equal(stateOf(run.last()), '2')
    await assert.rejects(save(run, -1), { code: 'checkpoint.bad-step' })
    await assert.rejects(save(run, 1.5), { code: 'checkpoint.bad-step' })
  })

  it('removes left-overs of dead writers when opened, and nothing else', async () => {
    const folder = temporary('run')
    await save(await openRun(folder), 1)
    const { pid } = spawnSync(process.execPath, ['--version'])
    const left = [
      `.step-2.new-${pid}-0123456789ab`,
      `.step-0.trash-${pid}-0123456789ab`,
      `.step-2.new-${process.pid}-0123456789ab`,
    ]
    const kept = [`.step-2.new-${process.ppid}-0123456789ab`, '.git', 'log.jsonl', '.step-2.newer']
    for (const name of [...left, ...kept, 'step-2']) mkdirSync(join(folder, name))
    writeFileSync(join(folder, `.index.json.new-${pid}-0123456789ab`), '{')
    await openRun(folder)
    assert.deepEqual(readdirSync(folder).sort(), [...kept, 'index.json', 'step-1'].sort())
  })

  it('is left as it is by a reader', async () => {
    const folder = temporary('run')
    await save(await openRun(folder), 1)
    const { pid } = spawnSync(process.execPath, ['--version'])
    mkdirSync(join(folder, `.step-2.new-${pid}-0123456789ab`))
    mkdirSync(join(folder, 'step-2'))
    renameSync(join(folder, 'step-1'), join(folder, '.step-1.old'))
    const before = readdirSync(folder)
    assert.equal(stateOf((await readRun(folder)).last()), '1')
    assert.deepEqual(readdirSync(folder), before)
    const run = await openRun(folder)
    assert.equal(basename(run.last() ?? ''), 'step-1')
    assert.deepEqual(readdirSync(folder).sort(), ['index.json', 'step-1'])
  })

  it('is read whole while it is written', async () => {
    const folder = temporary('run')
    const run = await openRun(folder, { keepLast: 2 })
    await save(run, 0, true)
    let isWriting = true
    const writing = (async () => {
      for (let step = 1; step <= 60; step++) await save(run, step, step % 7 === 0)
      isWriting = false
    })()
    let last = 0
    let numReads = 0
    for (; isWriting; numReads++) {
      const view = await readRun(folder)
      const step = Number(basename(view.last() ?? '').slice('step-'.length))
      assert.ok(step >= last)
      last = step
      const best = Number(basename(view.best() ?? '').slice('step-'.length))
      assert.ok(best % 7 === 0 && best <= step)
    }
    await writing
    assert.ok(numReads > 5, `${numReads} reads`)
  })

  it('forgets a checkpoint that was removed by hand, but not the last or the best', async () => {
    const folder = temporary('run')
    const run = await openRun(folder, { keepLast: 3 })
    for (const step of [1, 2, 3]) await save(run, step, step === 1)
    rmSync(join(folder, 'step-2'), { recursive: true })
    assert.deepEqual(
      (await openRun(folder)).checkpoints().map(({ step }) => step),
      [1, 3],
    )
    rmSync(join(folder, 'step-1'), { recursive: true })
    await assert.rejects(openRun(folder), { code: 'checkpoint.missing-folder' })
    await assert.rejects(readRun(folder), { code: 'checkpoint.missing-folder' })
    assert.ok(existsSync(join(folder, 'step-3')))
  })

  it('is refused where the index is lost, and its checkpoints stay', async () => {
    const folder = temporary('run')
    await save(await openRun(folder), 1)
    rmSync(join(folder, 'index.json'))
    await assert.rejects(openRun(folder), { code: 'checkpoint.missing-index' })
    await assert.rejects(readRun(folder), { code: 'checkpoint.missing-index' })
    await assert.rejects(readRun(join(folder, 'nowhere')), { code: 'checkpoint.missing-index' })
    assert.deepEqual(readdirSync(folder), ['step-1'])
  })

  const empty = { version: 1, last: null, best: null, checkpoints: [] }
  const indexes: readonly (readonly [string, string, string])[] = [
    ['an index cut off', '{"version": 1, "last"', 'checkpoint.bad-json'],
    ['an index that is a list', '[]', 'checkpoint.wrong-type'],
    ['an index of another version', JSON.stringify({ ...empty, version: 2 }), 'config.invalid-value'],
    ['an index of something else', '{"files": []}', 'config.invalid-value'],
    [
      'an index that leads out of the folder',
      JSON.stringify({ ...empty, checkpoints: [{ folder: '../../x', info: {} }] }),
      'config.invalid-value',
    ],
    [
      'an index whose last is not among its checkpoints',
      JSON.stringify({ ...empty, last: 'step-1' }),
      'checkpoint.missing-folder',
    ],
  ]
  for (const [what, text, code] of indexes) {
    it(`refuses ${what} with ${code} and removes nothing`, async () => {
      const folder = temporary('run')
      await save(await openRun(folder), 1)
      writeFileSync(join(folder, 'index.json'), text)
      await assert.rejects(openRun(folder), { code })
      await assert.rejects(readRun(folder), { code })
      assert.deepEqual(readdirSync(folder).sort(), ['index.json', 'step-1'])
    })
  }
})
