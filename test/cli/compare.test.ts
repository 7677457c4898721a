// `compare`: what A and B may be, from `evaluate --predictions` on; its gate; what it says of runs that do not fit.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EvaluationResult, QualityComparison } from '../../src/evaluation/index.js'
import { runCommand, temporaryFolder } from './runCommand.js'
import { makeTinyData, trainTinyRun } from './tinyRun.js'

const folder = temporaryFolder('compare')

function write(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const TEXTS = Array.from({ length: 20 }, (_, i) => `the answer is number ${i}`)
const data = write('data.csv', ['source,target', ...TEXTS.map((text, i) => `q${i},${text}`), ''].join('\n'))
const best = write('best.txt', TEXTS.join('\n'))
/** One of the 20 is wrong. */
const good = write('good.txt', [...TEXTS.slice(0, 19), 'nothing'].join('\r\n'))
const exactly = ['--data', data, '--metrics', 'exactMatch']

interface Printed {
  readonly examples: number
  readonly quality: Record<string, QualityComparison>
  readonly latency: { readonly speedup: { readonly value: number; readonly low: number | null } } | null
}

async function compare(words: readonly string[]) {
  const { code, stdout, stderr } = await runCommand(['compare', ...words, '--json'])
  return { code, stderr, printed: stdout === '' ? undefined : (JSON.parse(stdout) as Printed) }
}

describe('compare', () => {
  it('holds B against A: the ratio is that of B’s score to A’s', async () => {
    const { code, printed } = await compare([best, good, ...exactly])
    assert.equal(code, 0)
    assert.deepEqual(Object.keys(printed!), ['baseline', 'candidate', 'examples', 'quality', 'latency'])
    const { ratio, difference } = printed!.quality.exactMatch
    assert.deepEqual([ratio!.value, difference.value], [0.95, -5])
    assert.ok(ratio!.low! < 0.95 && ratio!.high === 1)
  })

  it('ends with code 3 where the low end of the ratio is below the gate, though the ratio itself is not', async () => {
    const results = await Promise.all([
      compare([best, good, ...exactly, '--min-ratio', '0.94']),
      compare([best, good, ...exactly, '--min-ratio', '0.7']),
      compare([good, best, ...exactly, '--min-ratio', '1']),
    ])
    assert.deepEqual(
      results.map(({ code }) => code),
      [3, 0, 0],
    )
    assert.match(
      results[0].stderr,
      /^warning: gate not met: the ratio of exactMatch may be as low as 0\.85, below 0\.94\n$/,
    )
    assert.equal(results[0].printed!.examples, 20)
  })

  it('does not meet a gate that cannot be checked', async () => {
    const none = write('none.txt', '\n'.repeat(20))
    const { code, stderr } = await compare([none, good, ...exactly, '--min-ratio', '0.5'])
    assert.equal(stderr, 'warning: gate not met: the ratio of exactMatch has no interval\n')
    assert.equal(code, 3)
  })

  it('takes what evaluate leaves: predictions with times, plain ones, and results with all outputs', async () => {
    const [{ output }, tiny] = await Promise.all([trainTinyRun(), makeTinyData()])
    const evaluate = async (policy: string) => {
      const path = (ending: string) => join(folder, `${policy}.${ending}`)
      const words = [
        'evaluate',
        '--checkpoint',
        output,
        '--data',
        tiny.data,
        '--backend',
        'wasm',
        '--policy',
        policy,
      ]
      const size = ['--limit', '6', '--max-new-tokens', '8', '--warm-up', '0']
      const files = ['--predictions', path('jsonl'), '--output', path('json'), '--examples', '6', '--json']
      const { code, stdout, stderr } = await runCommand([...words, ...size, ...files])
      assert.equal(code, 0, stderr)
      const lines = readFileSync(path('jsonl'), 'utf8').trimEnd().split('\n')
      const predictions = lines.map(
        (line) => JSON.parse(line) as { text: string; tokens: number[]; decodingMs: number },
      )
      writeFileSync(path('txt'), predictions.map(({ text }) => `${text}\n`).join(''))
      return { path, predictions, result: JSON.parse(stdout) as EvaluationResult }
    }
    const [full, still] = [await evaluate('full'), await evaluate('static')]
    const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0)
    const ms = total(full.predictions.map(({ decodingMs }) => decodingMs))
    const numTokens = total(full.predictions.map(({ tokens }) => tokens.length))
    assert.ok(Math.abs(ms / numTokens - full.result.latency.msPerTokenMean) < 1e-9)
    const from = ['--data', tiny.data, '--limit', '6', '--metrics', 'chrf']
    const [timed, plain, stored] = await Promise.all([
      compare([full.path('jsonl'), still.path('jsonl'), ...from]),
      compare([full.path('txt'), still.path('jsonl'), ...from]),
      compare([full.path('json'), still.path('json'), '--metrics', 'chrf']),
    ])
    assert.equal(timed.printed!.quality.chrf.candidate, still.result.quality.chrf.score)
    assert.deepEqual(plain.printed!.quality, timed.printed!.quality)
    assert.deepEqual(stored.printed!.quality, timed.printed!.quality)
    const speedup = full.result.latency.msPerTokenMean / still.result.latency.msPerTokenMean
    assert.ok(Math.abs(timed.printed!.latency!.speedup.value - speedup) < 1e-9)
    assert.notEqual(timed.printed!.latency!.speedup.low, null)
    assert.equal(plain.printed!.latency, null)
    assert.deepEqual(
      [stored.printed!.latency!.speedup.value, stored.printed!.latency!.speedup.low],
      [speedup, null],
    )
  })

  it('shows a table of at most 80 columns and what is kept', async () => {
    const { code, stdout } = await runCommand(['compare', best, good, ...exactly])
    assert.equal(code, 0)
    assert.match(
      stdout.replaceAll(/\n {2}/g, ' '),
      /B keeps 95\.0% \(85\.0% to 100\.0%\) of A's exact match; 95% interval/,
    )
    for (const line of stdout.split('\n')) assert.ok(line.length <= 80 || line.includes(folder), line)
  })

  const row = {
    policy: 'full',
    threshold: null,
    engine: 'tfjs',
    backend: 'wasm',
    dtype: 'float32',
    threads: 1,
  }
  const times = { msPerTokenP50: 1, msPerTokenP95: 1, msPerTokenMean: 1, tokensPerSecond: 1, encoderMsP50: 1 }
  const exits = {
    shallowShare: 0,
    meanDepth: 1,
    layerPasses: 1,
    agreement: null,
    flushes: 1,
    meanFlushSize: 1,
  }
  const rest = { tokens: 1, quality: {}, latency: times, exits, speedup: null, speedupWithEncoder: null }
  const result = (name: string, texts: readonly string[], examples: number) => {
    const outputs = texts.map((text) => ({ source: '', references: [text], text, tokens: [] }))
    return write(name, JSON.stringify({ ...row, examples, ...rest, outputs }))
  }
  const short = write('short.txt', 'a\n')
  const MISTAKES: readonly [string, readonly string[], RegExp][] = [
    ['one run', [best], /^error: expected two runs to compare, A and B, got 1\n/],
    ['three runs', [best, good, best], /^error: expected two runs to compare, A and B, got 3\n/],
    ['no references', [best, good], /^error: .* hold predictions only, a comparison needs references too\n/],
    [
      'too few predictions',
      [best, short, '--data', data],
      /short\.txt has 1 predictions, .*data\.csv has 20 examples/,
    ],
    [
      'a result without all outputs',
      [result('few.json', ['a'], 2), best],
      /few\.json holds 1 of the 2 outputs/,
    ],
    [
      'a .json that is none',
      [write('bad.json', 'a\n'), best],
      /bad\.json: expected the JSON of evaluate --output/,
    ],
    [
      'results of other examples',
      [result('one.json', ['a'], 1), result('other.json', ['b'], 1)],
      /are of different examples: their references differ/,
    ],
    ['a missing run', [join(folder, 'no.txt'), best, '--data', data], /^error: no data file at .*no\.txt\n/],
  ]
  for (const [what, words, message] of MISTAKES) {
    it(`refuses ${what} in one line and a hint`, async () => {
      const { code, stdout, stderr } = await runCommand(['compare', ...words])
      assert.match(stderr, message)
      assert.match(stderr, /^error: [^\n]+\nhint: [^\n]+\n$/)
      assert.deepEqual([code, stdout], [2, ''])
    })
  }
})
