// The benchmark's command line as a user runs it: what it refuses, what its table and its JSON say, and documents whose
// tables it measures. Times are not looked at, only what must hold between figures at any speed.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createCommand } from '../../bench/decode/command.js'
import type { CellResult } from '../../bench/decode/cellResult.js'
import { shapeConfig } from '../../bench/decode/shapes.js'
import { ShallowDeepError } from '../../src/errors.js'
import { boundAtExits, decodingBound, type DecodingSetting } from '../../src/evaluation/index.js'
import { ROOT, temporaryFolder, type CommandResult } from '../cli/runCommand.js'

const folder = temporaryFolder('bench')

function bench(...words: string[]): Promise<CommandResult> {
  const program = ['--expose-gc', '--import', 'tsx', 'bench/main.ts', ...words]
  const child = spawn(process.execPath, program, { cwd: ROOT, env: { ...process.env, NO_COLOR: '1' } })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** A tiny model, quickly. */
const TINY = [
  ...['decode', '--shapes', 'tiny', '--engines', 'onnx', '--dtypes', 'q4', '--threads', '1'],
  ...['--tokens', '8', '--source-length', '5', '--rounds', '2', '--bandwidth', '10', '--quiet'],
]

describe('npm run bench', () => {
  it('refuses what cannot be measured in one line, before any work', async () => {
    const cases: [string[], RegExp][] = [
      [['--shapes', 'huge'], /--shapes: expected .*tiny.*got "huge"/],
      [['--exit-shares', '0,1.5'], /--exit-shares: expected .*got 1\.5/],
      [['--checkpoint', 'checkpoints/translation-de-en'], /--checkpoint: needs data/],
      [['--data', 'test.csv'], /--data: belongs to a checkpoint/],
      [['--trace', 'a.jsonl', '--exit-shares', '0.5'], /--trace: is in place of exit shares/],
      [['--engines', 'tfjs:wasm', '--dtypes', 'q4', '--quiet'], /no engine is left .*float32 and int8 only/],
      [['--shapes', 'tiny', '--shallow-layers', '12', '--quiet'], /shape tiny: shallowLayers: must be less/],
    ]
    const environment = { signal: new AbortController().signal, setExitCode: () => assert.fail('it ran') }
    for (const [words, expected] of cases) {
      await assert.rejects(createCommand(environment).parseAsync(words, { from: 'user' }), (error: Error) => {
        assert.ok(error instanceof ShallowDeepError && error.kind === 'usage', error.stack)
        assert.match(error.message, expected)
        return true
      })
    }
    const { code, stdout, stderr } = await bench('dekode')
    assert.deepEqual([code, stdout], [2, ''])
    assert.equal(stderr, "error: unknown command 'dekode'\nhint: did you mean decode?\n")
  })

  it('decodes every cell, and its figures agree with each other', async () => {
    const file = join(folder, 'decode.json')
    const { code, stdout, stderr } = await bench(
      ...TINY,
      '--exit-shares',
      '0,1',
      '--batch-sizes',
      '1,2',
      '--output',
      file,
    )
    assert.equal(code, 0, stderr)
    for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line)
    const { rows } = JSON.parse(readFileSync(file, 'utf8')) as { rows: CellResult[] }
    const setting: DecodingSetting = {
      ...{ config: shapeConfig('tiny'), dtype: 'q4', sourceLength: 5, numTokens: 8 },
      gigabytesPerSecond: 10,
    }
    assert.equal(rows.length, 2 * 6)
    for (const row of rows) {
      const { policy, exits, batchSize } = row
      // Two rounds of 8 tokens a row, and no sequence ends before.
      assert.equal(row.tokens, 2 * 8 * batchSize)
      const isShallow = policy === 'static' || exits === 1
      assert.equal(row.shallowShare, isShallow ? 1 : 0)
      const flushes = policy === 'static' || (policy === 'free' && isShallow) ? 0 : isShallow ? 1 : 8
      assert.equal(row.flushes, 2 * batchSize * flushes)
      assert.equal(row.meanFlushSize, flushes === 0 ? null : 8 / flushes)
      assert.equal(row.retracted, 0)
      const [{ fullMs, staticMs }, isAlone] = [decodingBound(setting, batchSize), batchSize === 1]
      const bound = { full: fullMs, static: staticMs }[policy as string]
      const pattern = { exitShare: exits as number, ...(policy === 'lossless' && { agreement: 1 }) }
      const expected = bound ?? (isAlone ? boundAtExits(setting, pattern) : null)
      assert.equal(row.boundMsPerToken, expected)
      assert.equal(row.distanceToBound, expected === null ? null : row.msPerTokenP50 / expected)
      if (policy === 'full') assert.deepEqual(row.speedup, { p50: 1, low: 1, high: 1 })
      assert.ok(row.peakMegabytes > 0)
      assert.ok(row.firstTokenMsP50 > 0 && row.msPerTokenP95 >= row.msPerTokenP50)
    }
  })

  it('replays a recorded run, each sequence as long as it was', async () => {
    const trace = join(folder, 'trace.jsonl')
    writeFileSync(trace, '{"exits":["shallow","shallow","deep","shallow","deep"]}\n{"exits":["deep"]}\n')
    const { code, stdout, stderr } = await bench(
      ...TINY,
      '--policies',
      'free,lossless',
      '--trace',
      trace,
      '--json',
    )
    assert.equal(code, 0, stderr)
    const { rows } = JSON.parse(stdout) as { rows: CellResult[] }
    assert.deepEqual(
      rows.map(({ policy, tokens, flushes, shallowShare }) => [policy, tokens, flushes, shallowShare]),
      [
        ['full', 6, 6, 0],
        ['free', 6, 3, 0.5],
        ['lossless', 6, 3, 0.5],
      ],
    )
  })

  it('measures the tables of a document by their commands, and leaves it as it is where one fails', async () => {
    const [document, broken] = ['document.md', 'broken.md'].map((name) => join(folder, name))
    const marker = '<!-- bench: bandwidth --threads 1 --megabytes 16 --attempts 1 -->'
    writeFileSync(document, `# Speed\n\n${marker}\n<!-- /bench -->\n\nAfter.\n`)
    const untouched = '# Speed\n\n<!-- bench: decode --shapes huge -->\n<!-- /bench -->\n'
    writeFileSync(broken, untouched)
    const [{ code, stderr }, failed] = await Promise.all(
      [document, broken].map((path) => bench('performance', '--document', path)),
    )
    assert.equal(code, 0, stderr)
    const text = readFileSync(document, 'utf8')
    assert.ok(text.startsWith(`# Speed\n\n${marker}\n\n| Means`))
    assert.match(text, /vector times matrix \(reads\) +\| +1 \| +[\d.]+ \|\n/)
    assert.ok(text.includes('`npm run bench -- bandwidth --threads 1 --megabytes 16 --attempts 1`'))
    assert.ok(text.endsWith('\n\n<!-- /bench -->\n\nAfter.\n'))
    assert.ok(!text.includes(ROOT))

    assert.equal(failed.code, 1)
    assert.match(failed.stderr, /error: decode --shapes huge ended with exit code 2: error: --shapes/)
    assert.equal(readFileSync(broken, 'utf8'), untouched)
  })
})
