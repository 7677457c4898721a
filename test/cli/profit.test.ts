// `--profit` as a user runs it: measured once and kept, from a file of costs, and what it says; and what is said of engines
// that are approximate.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEvaluationResult } from '../../src/evaluation/index.js'
import { runCommand, temporaryFolder } from './runCommand.js'
import { makeTinyData, trainTinyRun } from './tinyRun.js'

const folder = temporaryFolder('profit')
const cache = join(folder, 'cache')

async function run(command: string, words: readonly string[]) {
  const { output } = await trainTinyRun()
  const flags = ['--checkpoint', output, '--backend', 'wasm', '--max-new-tokens', '8', '--threshold', '0.2']
  return runCommand([command, ...flags, ...words], { env: { SHALLOWDEEP_CACHE: cache } })
}

/** A file of costs with which full, at this cost, is the cheapest or the dearest. */
function costsFile(name: string, fullMs: number): string {
  const path = join(folder, name)
  const costs = { shallowMs: 1, deep: [{ positions: 1, ms: 1 }], fullMs }
  writeFileSync(path, JSON.stringify({ version: 1, key: {}, costs }))
  return path
}

const TEXTS = ['eins zwei', 'neun null', 'drei vier']

describe('--profit', function () {
  // Several programs one after the other, one of which measures.
  this.timeout(180_000)

  it('measures once, keeps the costs in the cache folder, and says what it chose', async () => {
    const first = await run('generate', ['--profit', 'measured', ...TEXTS])
    assert.equal(first.code, 0, first.stderr)
    assert.match(first.stderr, /^profit: measuring what passes cost/m)
    assert.match(first.stderr, /^profit: (full|free [^\n]+): [\d.]+ ms a token with early exits, full /m)
    const [name] = readdirSync(join(cache, 'costs'))
    const [again, given] = await Promise.all([
      run('generate', ['--profit', 'measured', ...TEXTS]),
      run('generate', ['--profit', join(cache, 'costs', name), ...TEXTS]),
    ])
    assert.doesNotMatch(again.stderr, /measuring/)
    assert.equal(given.stdout, again.stdout)
    writeFileSync(join(cache, 'costs', name), '{')
    const damaged = await run('generate', ['--profit', 'measured', '--quiet', ...TEXTS])
    assert.match(damaged.stderr, /^warning: [^\n]+measured anew\n$/)
    assert.equal(damaged.code, 0)
    JSON.parse(readFileSync(join(cache, 'costs', name), 'utf8'))
  })

  it('with costs at which full pays gives what full gives, with others what the policy gives', async () => {
    const [full, early, cheap, dear, held] = await Promise.all([
      run('generate', ['--policy', 'full', '--json', ...TEXTS]),
      run('generate', ['--json', ...TEXTS]),
      run('generate', ['--json', '--profit', costsFile('cheap.json', 0.5), ...TEXTS]),
      run('generate', ['--json', '--profit', costsFile('dear.json', 50), ...TEXTS]),
      run('generate', ['--json', '--profit', costsFile('held.json', 0.5), '--max-pending', 'none', ...TEXTS]),
    ])
    assert.equal(cheap.code, 0, cheap.stderr)
    assert.notEqual(full.stdout, early.stdout)
    assert.deepEqual([cheap.stdout, dear.stdout, held.stdout], [full.stdout, early.stdout, early.stdout])
    assert.match(cheap.stderr, /^profit: full: /m)
    assert.match(dear.stderr, /^profit: free without a bound of the stack: /m)
    assert.match(held.stderr, /^profit: --max-pending is given and holds, so nothing is chosen$/m)
  })

  it('is told by evaluate, which is off by default', async () => {
    const { data } = await makeTinyData()
    const words = ['--data', data, '--limit', '4', '--json', '--policy', 'lossless']
    const [off, on] = await Promise.all([
      run('evaluate', words),
      run('evaluate', [...words, '--profit', costsFile('evaluate.json', 0.5)]),
    ])
    const [without, result] = [off, on].map(({ stdout, stderr }) => {
      assert.notEqual(stdout, '', stderr)
      return parseEvaluationResult(JSON.parse(stdout), 'stdout')
    })
    assert.deepEqual([without.profit, without.isApproximate], [undefined, undefined])
    const { full, early, trials, last } = result.profit!
    assert.deepEqual([full, early, trials, last.isFull, last.fullMsPerToken], [4, 0, 0, true, 0.5])
    assert.equal(result.exits.shallowShare, 0)
    assert.deepEqual(result.quality, without.quality)
  })

  it('refuses what leaves nothing to choose and files that are none, before any work', async () => {
    for (const [words, error] of [
      [
        ['--policy', 'full', '--profit', 'measured'],
        '--profit: belongs to policies free, rollback and lossless, which may exit early or not',
      ],
      [
        ['--profit', 'mesured'],
        'profit: expected off, measured or a file of measured costs; there is no file',
      ],
    ] as const) {
      const { code, stderr } = await runCommand(['generate', '--checkpoint', '/nowhere', ...words, 'x'])
      assert.ok(stderr.startsWith(`error: ${error}`), stderr)
      assert.equal(code, 2)
    }
  })
})

describe('an approximate engine under lossless', () => {
  it('is called so', async () => {
    const checkpoint = ['--checkpoint', 'checkpoints/translation-de-en', '--task', 'translation']
    const flags = ['--engine', 'onnx', '--threads', '1', '--policy', 'lossless', '--json']
    const words = [...checkpoint, ...flags]
    const [int8, exact] = await Promise.all([
      runCommand(['generate', ...words, '--dtype', 'int8', 'Ja.']),
      runCommand(['generate', ...words, 'Ja.']),
    ])
    assert.equal(JSON.parse(int8.stdout).isApproximate, true)
    assert.match(int8.stderr, /^approximate: in int8, lossless may differ from full now and then$/m)
    assert.equal(JSON.parse(exact.stdout).isApproximate, undefined)
    assert.doesNotMatch(exact.stderr, /approximate/)
  })
})
