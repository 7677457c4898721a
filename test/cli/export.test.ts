// `shallowdeep export` as a user runs it: every format, and mistakes.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, runCommand, temporaryFolder } from './runCommand.js'

const folder = temporaryFolder('export')
const CHECKPOINT = 'checkpoints/translation-de-en'

describe('shallowdeep export', () => {
  it('writes a folder in each format, and says which', async () => {
    for (const [format, dtype] of Object.entries({ huggingface: 'float16', tfjs: 'float16', onnx: 'q4' })) {
      const output = join(folder, format)
      const words = ['export', '--checkpoint', CHECKPOINT, '--format', format, '--dtype', dtype]
      const { code, stdout, stderr } = await runCommand([...words, '--output', output, '--json'])
      assert.equal(code, 0, stderr)
      assert.equal(stderr, '')
      const files = readdirSync(output).sort()
      assert.deepEqual(JSON.parse(stdout), { checkpoint: CHECKPOINT, format, output, files })
      assert.ok(files.includes(format === 'tfjs' ? 'model.json' : 'config.json'))
      assert.equal(files.includes('encoder.onnx'), format === 'onnx')
    }
  })

  it('imports again what it wrote for Hugging Face', async () => {
    const words = ['import', join(folder, 'huggingface'), '--output', join(folder, 'back'), '--json']
    const { code, stdout, stderr } = await runCommand(words)
    assert.equal(code, 0, stderr)
    assert.equal(JSON.parse(stdout).tokenizer, 'tokenizer.json')
  })

  it('tells each mistake in one line, before any work', async () => {
    const words = ['export', '--checkpoint', CHECKPOINT, '--output', join(folder, 'new')]
    const mistakes: [string[], RegExp][] = [
      [words, /^error: --format: missing; expected huggingface, tfjs or onnx\n/],
      [[...words, '--format', 'gguf'], /^error: --format: expected huggingface, tfjs or onnx, got "gguf"\n/],
      [
        [...words, '--format', 'tfjs', '--dtype', 'bfloat16'],
        /^error: --dtype: tfjs stores float32 or float16\n/,
      ],
      [
        [...words, '--format', 'onnx', '--dtype', 'bfloat16'],
        /^error: --dtype: onnx stores float32, int8 or q4\n/,
      ],
      [
        [...words, '--format', 'tfjs', '--keep-float', 'head'],
        /^error: --keep-float: is of onnx, not of tfjs\n/,
      ],
      [
        ['export', '--checkpoint', join(ROOT, 'src'), '--format', 'tfjs', '--output', join(folder, 'new')],
        /^error: \S+src: expected a file config\.json, there is none\n/,
      ],
      [
        ['export', '--checkpoint', CHECKPOINT, '--format', 'tfjs', '--output', join(folder, 'tfjs')],
        /^error: \S+tfjs exists already and is not overwritten\nhint: .*--overwrite/,
      ],
    ]
    for (const [command, pattern] of mistakes) {
      const { code, stderr, stdout } = await runCommand(command)
      assert.match(stderr, pattern)
      assert.equal(stderr.trimEnd().split('\n').length, 2, stderr)
      assert.deepEqual([code, stdout], [2, ''])
    }
    assert.ok(!readdirSync(folder).includes('new'))
  })

  it('shows a help of 80 columns that ends with an example', async () => {
    const { stdout } = await runCommand(['export', '--help'])
    const [help, example] = stdout.split('\nExample:\n')
    for (const line of help.split('\n')) assert.ok(line.length <= 80, line)
    assert.match(example, /^ {2}shallowdeep export /)
  })
})
