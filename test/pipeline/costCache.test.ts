// Costs in the user's cache folder: kept once, never trusted blindly, whole after kills, and no failure where they can't be
// kept.
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import {
  cacheFolder,
  costsFile,
  keepCosts,
  readCosts,
  type CostsKey,
} from '../../src/pipeline/costCache.node.js'
import { KEY, sampleCosts } from './sampleCosts.js'

let root = ''
let count = 0
const newFolder = () => join(root, `${count++}`)

before(() => {
  root = mkdtempSync(join(tmpdir(), 'shallowdeep-costs-'))
})
after(() => rmSync(root, { recursive: true, force: true }))

/** Asks for costs; tells whether they were measured and what was warned of. */
async function ask(folder: string, key: CostsKey = KEY, n = 0) {
  const warnings: string[] = []
  let isMeasured = false
  const costs = await keepCosts(key, {
    folder,
    onWarning: (text) => warnings.push(text),
    measure: async () => {
      isMeasured = true
      return sampleCosts(n)
    },
  })
  return { costs, isMeasured, warnings }
}

describe('kept costs', () => {
  it('are measured once, and then read; other keys have their own', async () => {
    const folder = newFolder()
    assert.deepEqual(await ask(folder), { costs: sampleCosts(0), isMeasured: true, warnings: [] })
    assert.deepEqual(await ask(folder, KEY, 5), { costs: sampleCosts(0), isMeasured: false, warnings: [] })
    const changes: Record<string, number | string | string[]>[] = [
      { threads: 2 },
      { keepFloat: [] },
      { shallowdeep: '0.2.0' },
    ]
    for (const [i, change] of changes.entries()) {
      const { isMeasured, costs } = await ask(folder, { ...KEY, ...change }, i + 1)
      assert.deepEqual([isMeasured, costs], [true, sampleCosts(i + 1)])
    }
    assert.equal(readdirSync(join(folder, 'costs')).length, 4)
    // The order in which a key was put together says nothing.
    assert.equal(costsFile(folder, Object.fromEntries(Object.entries(KEY).reverse())), costsFile(folder, KEY))
    assert.deepEqual(await readCosts(costsFile(folder, KEY)), sampleCosts(0))
  })

  it('that are cut anywhere, damaged, or of another machine are measured anew, with a warning', async () => {
    const folder = newFolder()
    await ask(folder)
    const path = costsFile(folder, KEY)
    const whole = readFileSync(path, 'utf8')
    const saved = JSON.parse(whole) as { costs: object }
    const bad = [
      ...Array.from({ length: 12 }, (_, i) => whole.slice(0, Math.floor((i * (whole.length - 2)) / 12))),
      whole.replace('"fullMs": 3', '"fullMs": -3'),
      whole.replace('"scripted"', '"other"'),
      JSON.stringify({ ...saved, version: 2 }),
      JSON.stringify({ ...saved, costs: { ...saved.costs, deep: [] } }),
      '[]',
      '\0\0\0',
    ]
    for (const [i, text] of bad.entries()) {
      writeFileSync(path, text)
      const { costs, isMeasured, warnings } = await ask(folder, KEY, i)
      assert.deepEqual([costs, isMeasured, warnings.length], [sampleCosts(i), true, 1], text)
      assert.ok(warnings[0].includes(path) && warnings[0].endsWith('measured anew'), warnings[0])
      assert.equal((await ask(folder)).isMeasured, false)
    }
  })

  it('that cannot be kept are a warning, and costs all the same', async () => {
    const file = newFolder()
    writeFileSync(file, '')
    for (const folder of [file, join(file, 'below')]) {
      const { costs, warnings } = await ask(folder, KEY, 7)
      assert.deepEqual(costs, sampleCosts(7))
      assert.match(warnings.at(-1)!, /^measured costs are not kept: [^\n]+$/)
    }
    // A folder stands where the file should.
    const folder = newFolder()
    mkdirSync(join(costsFile(folder, KEY), 'x'), { recursive: true })
    const { costs, warnings } = await ask(folder, KEY, 8)
    assert.deepEqual([costs, warnings.length], [sampleCosts(8), 2])
  })

  it('pass on what measuring throws, and keep nothing then', async () => {
    const folder = newFolder()
    const reason = new Error('interrupted')
    await assert.rejects(keepCosts(KEY, { folder, measure: () => Promise.reject(reason) }), reason)
    assert.equal((await ask(folder)).isMeasured, true)
  })

  it('as an option name a file that is there and holds costs', async () => {
    await assert.rejects(readCosts(join(newFolder(), 'x')), { code: 'evaluation.no-costs-file' })
    await assert.rejects(readCosts('mesured'), { hint: 'did you mean measured?' })
    const path = newFolder()
    writeFileSync(path, '{"version": 1}')
    await assert.rejects(readCosts(path), { code: 'config.invalid-value' })
    writeFileSync(path, 'x')
    await assert.rejects(readCosts(path), { code: 'checkpoint.bad-json' })
  })
})

describe('kept costs under several processes', () => {
  let program = ''
  before(async () => {
    program = join(newFolder(), 'writer.mjs')
    await build({
      entryPoints: [fileURLToPath(new URL('costWriter.child.ts', import.meta.url))],
      bundle: true,
      platform: 'node',
      format: 'esm',
      external: ['@huggingface/hub'],
      outfile: program,
      logLevel: 'error',
      banner: {
        js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)",
      },
    })
  })
  const start = (folder: string, numWrites: number) =>
    spawn(process.execPath, [program, folder, String(numWrites)], { stdio: ['ignore', 'pipe', 'pipe'] })
  const errorsOf = async (child: ChildProcess) => {
    let text = ''
    child.stderr!.on('data', (chunk) => (text += chunk))
    child.stdout!.resume()
    await once(child, 'close')
    return text
  }

  it('are whole, or not there, after a writer was killed; what it left is removed', async () => {
    for (let kill = 0; kill < 3; kill++) {
      const folder = newFolder()
      const child = start(folder, 100_000)
      await once(child.stdout!, 'data')
      await new Promise((resolve) => setTimeout(resolve, 7 * kill))
      child.kill('SIGKILL')
      await once(child, 'close')
      const { warnings } = await ask(folder)
      assert.deepEqual(warnings, [])
      await ask(folder, { ...KEY, threads: 9 })
      const names = readdirSync(dirname(costsFile(folder, KEY)))
      assert.deepEqual(
        names.filter((name) => !/^[0-9a-f]{16}\.json$/.test(name)),
        [],
      )
    }
  })

  it('are read whole while two write them at once', async () => {
    const folder = newFolder()
    const writers = [start(folder, 40), start(folder, 40)]
    const ended = Promise.all(writers.map(errorsOf))
    let isOver = false
    void ended.then(() => (isOver = true))
    let numRead = 0
    while (!isOver) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      const costs = await readCosts(costsFile(folder, KEY)).catch((error: { code?: string }) => {
        assert.equal(error.code, 'evaluation.no-costs-file')
      })
      if (costs) numRead++
    }
    assert.deepEqual(await ended, ['', ''])
    assert.ok(numRead > 0)
    assert.equal((await ask(folder)).isMeasured, false)
  })
})

describe('the cache folder', () => {
  const home = '/home/a'
  const of = (platform: NodeJS.Platform, env: Record<string, string> = {}) =>
    cacheFolder({ platform, env, home })

  it('is where each system keeps what can be made again, and where the user says', () => {
    assert.equal(of('linux'), '/home/a/.cache/shallowdeep')
    assert.equal(of('linux', { XDG_CACHE_HOME: '/var/x' }), '/var/x/shallowdeep')
    assert.equal(of('linux', { XDG_CACHE_HOME: 'relative' }), '/home/a/.cache/shallowdeep')
    assert.equal(of('darwin', { XDG_CACHE_HOME: '/var/x' }), '/home/a/Library/Caches/shallowdeep')
    assert.equal(of('win32', { LOCALAPPDATA: '/L' }), join('/L', 'shallowdeep', 'Cache'))
    assert.equal(of('win32'), join(home, 'AppData', 'Local', 'shallowdeep', 'Cache'))
    for (const platform of ['linux', 'darwin', 'win32'] as const)
      assert.equal(of(platform, { SHALLOWDEEP_CACHE: '/mine' }), '/mine')
  })
})
