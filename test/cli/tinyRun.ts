// A training run that takes seconds: number words to digits, a vocabulary of 30, a model of a few thousand parameters.
// Trained once, through the command, for all tests that need a checkpoint.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand, temporaryFolder, type CommandResult } from './runCommand.js'

const WORDS = ['null', 'eins', 'zwei', 'drei', 'vier', 'neun']
const DIGITS = ['zero', 'one', 'two', 'three', 'four', 'nine']

/** Files of the tiny data set and its tokenizer. */
export interface TinyData {
  readonly folder: string
  readonly data: string
  readonly tokenizer: string
  /** What `tokenizer train` printed. */
  readonly tokenizerResult: CommandResult
}

/** Flags of the tiny model and of its training, without data and output. */
export const TINY_FLAGS = [
  ...['--d-model', '16', '--num-heads', '2', '--d-kv', '8', '--d-ff', '32'],
  ...['--encoder-layers', '1', '--decoder-layers', '3', '--shallow-layers', '1'],
  ...['--batch-size', '12', '--warmup-steps', '5', '--schedule', 'constant', '--seed', '7'],
  ...['--max-source-length', '16', '--max-target-length', '16', '--backend', 'wasm'],
]

let tinyData: Promise<TinyData> | undefined
let trained: Promise<{ readonly result: CommandResult; readonly output: string }> | undefined

/** The data set and its tokenizer. */
export function makeTinyData(): Promise<TinyData> {
  return (tinyData ??= (async () => {
    const folder = temporaryFolder('tiny')
    const data = join(folder, 'numbers.csv')
    const rows = WORDS.flatMap((_, a) => WORDS.map((_, b) => [a, b])).map(
      ([a, b]) => `${WORDS[a]} ${WORDS[b]},${DIGITS[a]} ${DIGITS[b]}`,
    )
    writeFileSync(data, ['source,target', ...rows, ''].join('\n'))
    const tokenizer = join(folder, 'tokenizer.json')
    const words = [
      'tokenizer',
      'train',
      '--data',
      data,
      '--vocab-size',
      '30',
      '--output',
      tokenizer,
      '--json',
    ]
    const tokenizerResult = await runCommand(words)
    assert.equal(tokenizerResult.code, 0, tokenizerResult.stderr)
    return { folder, data, tokenizer, tokenizerResult }
  })())
}

/** The flags that train on the tiny data into a folder. */
export async function trainWords(output: string, more: readonly string[] = []): Promise<string[]> {
  const { data, tokenizer } = await makeTinyData()
  return ['train', '--data', data, '--tokenizer', tokenizer, ...TINY_FLAGS, '--output', output, ...more]
}

/** A run of 30 steps with validation; its folder opens as a checkpoint. */
export function trainTinyRun(): Promise<{ readonly result: CommandResult; readonly output: string }> {
  return (trained ??= (async () => {
    const { folder, data } = await makeTinyData()
    const output = join(folder, 'run')
    const more = ['--steps', '30', '--validation', data, '--validation-limit', '4', '--validate-every', '15']
    const result = await runCommand(await trainWords(output, [...more, '--json']))
    assert.equal(result.code, 0, result.stderr)
    return { result, output }
  })())
}
