// Engines and precisions as a user asks for them: the same texts, results that say what computed, and mistakes.
import assert from 'node:assert/strict'
import { runCommand } from './runCommand.js'

const CHECKPOINT = ['--checkpoint', 'checkpoints/translation-de-en', '--task', 'translation']
const TEXTS = ['Der Zug kommt heute später.', 'Ich habe keine Zeit.']

describe('engines and precisions', () => {
  it('decodes to what tfjs decodes to, under the policy asked for', async () => {
    const decode = async (...more: string[]) => {
      const words = ['generate', ...CHECKPOINT, '--policy', 'free', '--threshold', '0.6', ...more, ...TEXTS]
      const { code, stdout, stderr } = await runCommand([...words, '--json', '--quiet'])
      assert.equal(code, 0, stderr)
      const lines = stdout.trimEnd().split('\n')
      return lines.map((line) => JSON.parse(line) as { text: string; exits: string[]; tokens: number[] })
    }
    const choices = (lines: Awaited<ReturnType<typeof decode>>) =>
      lines.map(({ text, exits, tokens }) => ({ text, exits, tokens }))
    const onnx = await decode('--engine', 'onnx', '--threads', '1')
    assert.deepEqual(choices(onnx), choices(await decode('--backend', 'wasm')))
    assert.ok(onnx.some(({ exits }) => exits.includes('shallow') && exits.includes('deep')))
  })

  it('evaluates in the dtype asked for, and says so', async () => {
    const data = ['--data', 'datasets/translation_de_en/test.csv', '--target-column', 'target_1,target_2']
    const flags = ['--engine', 'onnx', '--threads', '1', '--limit', '4', '--json', '--quiet']
    for (const dtype of ['int8', 'q4']) {
      const words = ['evaluate', ...CHECKPOINT, ...data, ...flags, '--dtype', dtype]
      const { code, stdout, stderr } = await runCommand([
        ...words,
        '--keep-float',
        'head,feed-forward-output',
      ])
      assert.equal(code, 0, stderr)
      const { engine, backend, dtype: told, threads } = JSON.parse(stdout)
      assert.deepEqual([engine, backend, told, threads], ['onnx', 'cpu', dtype, 1])
    }
  })

  it('in int8 tfjs decodes on wasm, and says so', async () => {
    const flags = ['--dtype', 'int8', '--keep-float', 'head', '--json', '--policy', 'full']
    const { code, stdout, stderr } = await runCommand(['generate', ...CHECKPOINT, ...flags, 'Guten Morgen.'])
    assert.equal(code, 0, stderr)
    assert.ok(JSON.parse(stdout).tokens.length > 1)
    assert.match(stderr, /wasm/)
  })

  it('tells confidences to the last digit where they are asked for, and near ones else', async () => {
    const flags = ['--backend', 'wasm', '--threshold', '0.3', '--json', '--quiet']
    const words = ['generate', ...CHECKPOINT, ...flags, 'Der Zug kommt heute später.']
    const [near, exact] = await Promise.all(
      [words, [...words, '--exact-confidence']].map(async (given) => {
        const { code, stdout, stderr } = await runCommand(given)
        assert.equal(code, 0, stderr)
        return JSON.parse(stdout) as { tokens: number[]; exits: string[]; confidences: (number | null)[] }
      }),
    )
    assert.deepEqual([near.tokens, near.exits], [exact.tokens, exact.exits])
    assert.notDeepEqual(near.confidences, exact.confidences)
    for (const [i, confidence] of near.confidences.entries()) {
      assert.ok(Math.abs((confidence ?? 0) - (exact.confidences[i] ?? 0)) < 5e-3)
    }
  })

  it('tells each mistake in one line, before any work', async () => {
    const mistakes: [string[], RegExp][] = [
      [
        ['--dtype', 'q4'],
        /^error: engine tfjs computes in float32, or on wasm in int8; asked for was q4\nhint: .*--engine onnx/,
      ],
      [
        ['--dtype', 'int8', '--backend', 'node'],
        /^error: backend node computes in float32, asked for was int8\nhint: .*--backend wasm/,
      ],
      [['--keep-float', 'head'], /^error: keepFloat: expected with dtype int8 or q4;/],
      [['--engine', 'onnx', '--backend', 'wasm'], /^error: backend wasm: expected none with engine onnx/],
      [['--engine', 'onnx', '--dtype', 'q3'], /^error: --dtype: expected float32, int8 or q4, got "q3"/],
    ]
    for (const [flags, pattern] of mistakes) {
      // A folder that is none: flags are looked at first.
      const { code, stdout, stderr } = await runCommand([
        'generate',
        '--checkpoint',
        '/nowhere',
        ...flags,
        'Ja',
      ])
      assert.match(stderr, pattern)
      assert.deepEqual([code, stdout], [2, ''])
    }
  })
})
