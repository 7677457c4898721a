// The commands that use a checkpoint, on the tiny run: inputs, outputs, exit codes and the keys of their JSON.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAblationResult, parseEvaluationResult } from '../../src/evaluation/index.js'
import { runCommand, startCommand } from './runCommand.js'
import { makeTinyData, trainTinyRun } from './tinyRun.js'

/** Flags that name the tiny checkpoint, as the folder of its run. */
async function checkpointWords(): Promise<string[]> {
  const { output } = await trainTinyRun()
  return ['--checkpoint', output, '--backend', 'wasm', '--max-new-tokens', '12']
}

async function generate(words: readonly string[], input = '', env: NodeJS.ProcessEnv = {}) {
  return runCommand(['generate', ...(await checkpointWords()), ...words], { input, env })
}

interface Line {
  readonly text: string
  readonly tokens: readonly number[]
  readonly exits: readonly string[]
  readonly exitLayers: readonly number[]
  readonly confidences: readonly number[]
}

const linesOf = (stdout: string) => stdout.trimEnd().split('\n')
const jsonOf = (stdout: string) => linesOf(stdout).map((line) => JSON.parse(line) as Line)

const TEXTS = ['eins zwei', '', 'neun null']

describe('generate', () => {
  let lines: Line[]
  before(async () => {
    const { code, stdout, stderr } = await generate(['--json', '--threshold', '0.2'], TEXTS.join('\n'))
    assert.equal(code, 0, stderr)
    lines = jsonOf(stdout)
  })

  it('writes a JSON object a line of standard input; an empty line is an empty text', () => {
    assert.equal(lines.length, 3)
    for (const line of lines) {
      assert.deepEqual(Object.keys(line), ['text', 'tokens', 'exits', 'exitLayers', 'confidences'])
      for (const list of [line.exits, line.exitLayers, line.confidences]) {
        assert.equal(list.length, line.tokens.length)
      }
      line.exits.forEach((exit, i) => assert.equal(line.exitLayers[i], exit === 'shallow' ? 1 : 3))
      line.exits.forEach((exit, i) => assert.equal(line.confidences[i] > 0.2, exit === 'shallow'))
    }
  })

  it('answers each line of standard input before the next one is there', async () => {
    const words = ['generate', ...(await checkpointWords()), '--json', '--threshold', '0.2']
    const { child, result } = startCommand(words, { input: null })
    for (const text of TEXTS) {
      child.stdin!.write(`${text}\n`)
      await once(child.stdout!, 'data')
    }
    child.stdin!.end()
    assert.deepEqual(jsonOf((await result).stdout), lines)
  })

  it('ends at Ctrl-C and at its limit, though standard input stays open', async () => {
    const words = ['generate', ...(await checkpointWords())]
    const limited = startCommand([...words, '--limit', '1'], { input: null })
    limited.child.stdin!.write('eins\nzwei\n')
    const interrupted = startCommand(words, { input: null })
    interrupted.child.stdin!.write('eins\n')
    await once(interrupted.child.stdout!, 'data')
    interrupted.child.kill('SIGINT')
    const [one, other] = await Promise.all([limited.result, interrupted.result])
    assert.deepEqual([one.code, one.stdout.split('\n').length], [0, 2])
    assert.equal(other.code, 130)
    assert.ok(other.stderr.endsWith('interrupted\n'))
  })

  it('gives the same for arguments in batches, and for the column of a file', async () => {
    const { folder } = await makeTinyData()
    const data = join(folder, 'texts.tsv')
    writeFileSync(data, ['german', TEXTS[0], TEXTS[2], ''].join('\n'))
    const [batched, read] = await Promise.all([
      generate(['--json', '--threshold', '0.2', '--batch-size', '2', ...TEXTS]),
      generate(['--json', '--threshold', '0.2', '--data', data, '--source-column', 'german']),
    ])
    const figures = (list: readonly Line[]) =>
      list.map(({ text, tokens, exits }) => ({ text, tokens, exits }))
    assert.deepEqual(figures(jsonOf(batched.stdout)), figures(lines))
    assert.deepEqual(figures(jsonOf(read.stdout)), figures([lines[0], lines[2]]))
  })

  it('streams plain text, a line each, and the same text into a file', async () => {
    const { folder } = await makeTinyData()
    const path = join(folder, 'out.txt')
    const [plain, filed] = await Promise.all([
      generate(['--threshold', '0.2', ...TEXTS]),
      generate(['--threshold', '0.2', ...TEXTS, '--output', path]),
    ])
    assert.deepEqual(plain.stdout.split('\n'), [...lines.map(({ text }) => text), ''])
    assert.equal(filed.stdout, '')
    assert.equal(readFileSync(path, 'utf8'), plain.stdout)
  })

  it('lossless gives what full gives', async () => {
    const texts = ['eins zwei', 'neun null', 'drei vier']
    const [full, lossless] = await Promise.all(
      ['full', 'lossless'].map((policy) => generate(['--policy', policy, '--threshold', '0.1', ...texts])),
    )
    assert.equal(full.code, 0, full.stderr)
    assert.equal(lossless.stdout, full.stdout)
  })

  it('shows exits by colour, or by brackets where there is none', async () => {
    const words = ['--show-exits', '--policy', 'full', 'eins zwei']
    const [plain, marked, coloured] = await Promise.all([
      generate(['--policy', 'full', 'eins zwei']),
      generate(words),
      generate(words, '', { FORCE_COLOR: '1' }),
    ])
    const text = plain.stdout
    assert.match(text, /\S/)
    assert.equal(marked.stdout.replaceAll(/[[\]]/g, ''), text)
    assert.match(marked.stdout, /^\[/)
    assert.equal(coloured.stdout.replaceAll(/\x1b\[\d+m/g, ''), text)
    assert.notEqual(coloured.stdout, text)
    assert.match(marked.stderr, /shallow exit {2}\[deep exit\]/)
  })

  it('counts inputs that were cut, and warns also when quiet', async () => {
    const { stderr } = await generate(['--quiet', '--max-source-length', '3', 'eins zwei drei vier', 'x'])
    assert.equal(stderr, 'warning: 1 inputs were cut to 3 tokens\n')
  })

  it('refuses two inputs, and a calibrated threshold without a calibration', async () => {
    const { data } = await makeTinyData()
    const [two, uncalibrated] = await Promise.all([
      generate(['--data', data, 'eins']),
      generate(['--quiet', '--threshold', 'calibrated', 'eins']),
    ])
    assert.match(two.stderr, /^error: texts were given both as arguments and with --data\nhint: /)
    assert.match(
      uncalibrated.stderr,
      /^error: threshold: calibrated needs a saved calibration, and [^\n]+\nhint: /,
    )
    assert.deepEqual([two.code, uncalibrated.code], [2, 2])
  })
})

async function measure(command: readonly string[], words: readonly string[]) {
  const { data } = await makeTinyData()
  return runCommand([
    ...command,
    ...(await checkpointWords()),
    '--data',
    data,
    '--limit',
    '4',
    '--threads',
    '1',
    ...words,
  ])
}

describe('evaluate', () => {
  it('prints a result of the documented form with speed-ups, and ends with code 3 where a gate is not met', async () => {
    const words = ['--json', '--baseline', 'full', '--min-score', '101', '--min-speedup', '1000']
    const { code, stdout, stderr } = await measure(['evaluate'], words)
    assert.equal(code, 3, stderr)
    assert.match(stderr, /warning: gate not met: bleu [\d.]+ is below 101\n/)
    assert.match(stderr, /warning: gate not met: the speed-up [\d.]+ is below 1000\n/)
    const result = parseEvaluationResult(JSON.parse(stdout), 'stdout')
    assert.deepEqual(
      [result.policy, result.threshold, result.engine, result.backend],
      ['free', 0.9, 'tfjs', 'wasm'],
    )
    assert.deepEqual([result.dtype, result.threads, result.examples], ['float32', 1, 4])
    assert.deepEqual(Object.keys(result.quality), ['bleu', 'chrf'])
    assert.ok(result.speedup! > 0 && result.speedupWithEncoder! > 0)
  })

  it('shows a table that fits 80 columns, and the metrics asked for', async () => {
    const { stdout, code } = await measure(['evaluate'], ['--policy', 'static', '--metrics', 'rougeL,chrf'])
    assert.equal(code, 0)
    assert.match(stdout, /^policy +ROUGE-L +chrF/m)
    assert.match(stdout, /^4 examples.*; tfjs on wasm, float32, 1 thread$/m)
    for (const line of linesOf(stdout)) assert.ok(line.length <= 80, line)
  })
})

describe('ablate thresholds', () => {
  it('sweeps thresholds beside full, static and adaptive, and writes JSON and a report', async () => {
    const { folder } = await makeTinyData()
    const [output, report] = [join(folder, 'sweep.json'), join(folder, 'sweep.html')]
    const words = ['--thresholds', '0.2,0.6', '--lossless', '0.5', '--output', output, '--report', report]
    const { code, stdout, stderr } = await measure(['ablate', 'thresholds'], [...words, '--examples', '2'])
    assert.equal(code, 0, stderr)
    const result = parseAblationResult(JSON.parse(readFileSync(output, 'utf8')), output)
    assert.deepEqual(
      result.rows.map(({ policy, threshold }) => [policy, threshold]),
      [
        ['full', null],
        ['static', null],
        ['free', 0.2],
        ['free', 0.6],
        ['free', 'adaptive'],
        ['lossless', 0.5],
      ],
    )
    assert.equal(result.rows.find(({ threshold }) => threshold === 'adaptive')!.outputs!.length, 2)
    assert.match(stdout, /^free adaptive /m)
    assert.match(stdout, /^Area under the quality\/latency curve: full /m)
    const html = readFileSync(report, 'utf8')
    assert.match(html, /shallowdeep ablate thresholds --checkpoint/)
    assert.match(html, /<svg/)
  })

  it('writes a Markdown report with its plots, and no sentence where examples are none', async () => {
    const { folder } = await makeTinyData()
    const report = join(folder, 'sweep.md')
    const words = ['--thresholds', '0.5', '--report', report, '--examples', 'none', '--json']
    const { code, stdout, stderr } = await measure(['ablate', 'thresholds'], words)
    assert.equal(code, 0, stderr)
    assert.deepEqual(Object.keys(JSON.parse(stdout)), ['rows', 'bestFixed', 'adaptive', 'areaUnderCurve'])
    const markdown = readFileSync(report, 'utf8')
    assert.doesNotMatch(markdown + stdout, /eins|null zwei/)
    for (const [, path] of markdown.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g))
      assert.ok(existsSync(join(folder, path)), path)
  })
})

describe('calibrate', () => {
  it('saves a calibration with the checkpoint, which generate and evaluate then use', async () => {
    const { result } = await trainTinyRun()
    const { checkpoint } = JSON.parse(result.stdout) as { readonly checkpoint: string }
    const path = join(checkpoint, 'calibration.json')
    try {
      const { code, stdout, stderr } = await measure(
        ['calibrate'],
        ['--json', '--min-evidence', '5', '--zeta', '0.5'],
      )
      assert.equal(code, 0, stderr)
      const calibration = JSON.parse(stdout)
      assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), calibration)
      assert.deepEqual([calibration.options.minEvidence, calibration.options.zeta], [5, 0.5])
      assert.deepEqual([calibration.shallowLayers, calibration.confidence], [1, 'top2-gap'])

      const [used, other] = await Promise.all([
        measure(['evaluate'], ['--json', '--threshold', 'calibrated']),
        generate(['--quiet', '--threshold', 'adaptive', '--confidence', 'entropy', 'eins']),
      ])
      const evaluated = parseEvaluationResult(JSON.parse(used.stdout), 'stdout')
      assert.deepEqual([evaluated.threshold, evaluated.thresholdAtEnd], ['calibrated', calibration.threshold])
      assert.match(
        other.stderr,
        /^error: threshold: adaptive needs a calibration of layer 1 and entropy, [^\n]+\nhint: /,
      )
      assert.equal(other.code, 2)
    } finally {
      rmSync(path, { force: true })
    }
  })
})
