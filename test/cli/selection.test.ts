// How tokens are taken, on the command line: beams, n-grams and what goes together, on the tiny run.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEvaluationResult } from '../../src/evaluation/index.js'
import { runCommand } from './runCommand.js'
import { makeTinyData, trainTinyRun } from './tinyRun.js'

async function generate(words: readonly string[]) {
  const { output } = await trainTinyRun()
  const flags = ['--checkpoint', output, '--backend', 'wasm', '--max-new-tokens', '8', '--quiet']
  return runCommand(['generate', ...flags, ...words])
}

interface Line {
  readonly text: string
  readonly tokens: readonly number[]
  readonly hypotheses?: readonly {
    readonly text: string
    readonly tokens: number[]
    readonly score: number
  }[]
}

const linesOf = (stdout: string) => stdout.trimEnd().split('\n')
const jsonOf = (stdout: string) => linesOf(stdout).map((line) => JSON.parse(line) as Line)

describe('generate with beams', () => {
  it('writes the best output, and with --json all of them with their scores, best first', async () => {
    const words = ['--policy', 'full', '--beams', '3', '--length-penalty', '0.6', '--early-stopping']
    const [plain, json, marked] = await Promise.all([
      generate([...words, 'eins zwei', 'neun']),
      generate([...words, '--json', '--batch-size', '2', 'eins zwei', 'neun']),
      generate([...words, '--show-exits', 'eins zwei', 'neun']),
    ])
    assert.equal(plain.code, 0, plain.stderr)
    const lines = jsonOf(json.stdout)
    assert.deepEqual(
      linesOf(plain.stdout),
      lines.map(({ text }) => text),
    )
    assert.equal(marked.stdout.replaceAll(/[[\]]/g, ''), plain.stdout)
    for (const { text, tokens, hypotheses } of lines) {
      assert.equal(hypotheses!.length, 3)
      assert.deepEqual([hypotheses![0].text, hypotheses![0].tokens], [text, tokens])
      const scores = hypotheses!.map(({ score }) => score)
      assert.deepEqual(
        scores,
        scores.toSorted((a, b) => b - a),
      )
    }
  })

  it('refuses them in one line where exits differ, before it looks for the checkpoint', async () => {
    for (const [words, error] of [
      [['--beams', '4'], '--beams: need policy full or static, whose hypotheses all leave by the same exit'],
      [
        ['--beams', '4', '--policy', 'static', '--flush-at-end'],
        '--flush-at-end: gathers evidence for a threshold, and beams have none',
      ],
    ] as const) {
      const { code, stderr } = await runCommand(['generate', '--checkpoint', 'missing', ...words, 'x'])
      assert.equal(code, 2)
      assert.equal(stderr.split('\n')[0], `error: ${error}`)
    }
    const evaluation = ['evaluate', '--checkpoint', 'missing', '--data', 'missing.csv']
    const asked = [...evaluation, '--beams', '4', '--policy', 'static', '--evidence']
    const { code, stderr } = await runCommand(asked)
    assert.equal(code, 2)
    const message = 'error: --evidence: gathers evidence for a threshold, and beams have none'
    assert.equal(stderr.split('\n')[0], message)
  })
})

describe('generate at a temperature', () => {
  it('draws what its seed says, in batches or one by one', async () => {
    const texts = ['eins zwei', 'eins zwei', 'eins zwei']
    const words = ['--json', '--policy', 'lossless', '--temperature', '3', '--top-k', '9', '--top-p', '0.95']
    const [alone, batched, other] = await Promise.all([
      generate([...words, '--seed', '3', ...texts]),
      generate([...words, '--seed', '3', '--batch-size', '2', ...texts]),
      generate([...words, '--seed', '4', ...texts]),
    ])
    for (const { code, stderr } of [alone, batched, other]) assert.equal(code, 0, stderr)
    const tokensOf = (stdout: string) => jsonOf(stdout).map(({ tokens }) => tokens.join())
    assert.deepEqual(tokensOf(batched.stdout), tokensOf(alone.stdout))
    assert.equal(new Set([...tokensOf(alone.stdout), ...tokensOf(other.stdout)]).size, 6)
  })

  it('says what does not go together', async () => {
    for (const [words, error] of [
      [['--top-k', '4'], '--top-k: belongs to drawing: give temperature too'],
      [['--top-p', '0.5'], '--top-p: belongs to drawing: give temperature too'],
      [['--temperature', '0'], '--temperature: expected a number above 0'],
      [
        ['--temperature', '1', '--beams', '2', '--policy', 'full'],
        '--beams: take the best and draw nothing: leave temperature out',
      ],
    ] as const) {
      const { code, stderr } = await runCommand(['generate', '--checkpoint', 'missing', ...words, 'x'])
      assert.equal(code, 2)
      assert.ok(stderr.startsWith(`error: ${error}`), stderr)
    }
  })
})

describe('evaluate', () => {
  it('says how tokens were taken, where not greedily, and draws what generate draws', async () => {
    const { output } = await trainTinyRun()
    const { folder } = await makeTinyData()
    const data = join(folder, 'drawn.csv')
    writeFileSync(data, 'source,target\neins zwei,x\nneun,y\n')
    const flags = [
      '--checkpoint',
      output,
      '--backend',
      'wasm',
      '--max-new-tokens',
      '8',
      '--json',
      '--data',
      data,
    ]
    const drawing = ['--policy', 'full', '--temperature', '2', '--seed', '6']
    const [greedy, searched, drawn, generated] = await Promise.all([
      runCommand(['evaluate', ...flags]),
      runCommand(['evaluate', ...flags, '--policy', 'static', '--beams', '2', '--baseline', 'full']),
      runCommand(['evaluate', ...flags, ...drawing, '--output', join(folder, 'drawn.json')]),
      runCommand(['generate', ...flags, ...drawing]),
    ])
    const [first, second, third] = [greedy, searched, drawn].map(({ stdout, stderr }) => {
      assert.notEqual(stdout, '', stderr)
      return parseEvaluationResult(JSON.parse(stdout), 'stdout')
    })
    assert.equal(first.selection, undefined)
    assert.deepEqual(second.selection, { beams: 2, lengthPenalty: 1, earlyStopping: false })
    assert.ok(second.speedup! > 0 && second.exits.layerPasses > 1 / 3)
    assert.deepEqual(third.selection, { temperature: 2, topK: null, topP: null, seed: 6 })
    assert.deepEqual(
      third.outputs!.map(({ text }) => text),
      jsonOf(generated.stdout).map(({ text }) => text),
    )
  })
})

describe('generate --policy rollback', () => {
  it('with a bound of 0 gives what full gives; with a great one what free gives, and the bound is its alone', async () => {
    const texts = ['eins zwei', 'neun null', 'drei vier']
    const draft = ['--threshold', '0.05']
    const rollback = ['--policy', 'rollback', ...draft, '--rollback-bound']
    const [full, exact, free, loose, refused] = await Promise.all([
      generate(['--policy', 'full', ...texts]),
      generate([...rollback, '0', ...texts]),
      generate(['--policy', 'free', ...draft, ...texts]),
      generate([...rollback, '1e9', ...texts]),
      generate(['--policy', 'free', '--rollback-bound', '1', ...texts]),
    ])
    assert.equal(exact.code, 0, exact.stderr)
    assert.deepEqual([exact.stdout, loose.stdout], [full.stdout, free.stdout])
    assert.deepEqual(
      [refused.code, refused.stderr.split('\n')[0]],
      [2, 'error: --rollback-bound: belongs to policy rollback only'],
    )
  })
})

describe('generate without repeated n-grams', () => {
  it('repeats no token where n is 1', async () => {
    const { stdout, code } = await generate(['--json', '--no-repeat-ngram', '1', 'eins zwei drei vier'])
    assert.equal(code, 0)
    const [{ tokens }] = jsonOf(stdout)
    assert.equal(new Set(tokens).size, tokens.length)
  })
})
