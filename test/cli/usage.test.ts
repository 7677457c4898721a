// Wrong use: each mistake is one line that says what to do, exit code 2, and no stack trace.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { METRIC_NAMES } from '../../src/metrics/index.js'
import { ROOT, runCommand, startCommand, temporaryFolder } from './runCommand.js'

const folder = temporaryFolder('usage')

function write(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

const missing = join(folder, 'missing')
const data = write('data.csv', 'source,target\na,b\n')
const trainPaths = ['--data', data, '--tokenizer', missing, '--output', join(folder, 'new')]

interface Mistake {
  readonly name: string
  readonly words: readonly string[]
  readonly error: string
  readonly hint: string
}

const MISTAKES: readonly Mistake[] = [
  {
    name: 'an unknown command',
    words: ['trian'],
    error: "unknown command 'trian'",
    hint: 'did you mean train?',
  },
  {
    name: 'an unknown subcommand',
    words: ['ablate', 'speed'],
    error: "unknown command 'speed'",
    hint: 'shallowdeep ablate --help shows what there is',
  },
  {
    name: 'an unknown flag',
    words: ['evaluate', '--max-pendng', '4'],
    error: "unknown option '--max-pendng'",
    hint: 'did you mean --max-pending?',
  },
  {
    name: 'a flag without its value',
    words: ['generate', '--checkpoint'],
    error: "option '--checkpoint <folder>' argument missing",
    hint: 'shallowdeep generate --help shows what there is',
  },
  {
    name: 'a word too many',
    words: ['info', 'now'],
    error: "too many arguments for 'info'. Expected 0 arguments but got 1.",
    hint: 'shallowdeep info --help shows what there is',
  },
  {
    name: 'missing flags, all at once',
    words: ['tokenizer', 'train', '--vocab-size', '3'],
    error:
      '--data: missing; expected a file; --vocab-size: expected a whole number from 4 up, got 3; ' +
      '--output: missing; expected a file',
    hint: 'shallowdeep tokenizer train --help shows what there is',
  },
  {
    name: 'shallow layers that are not fewer than the decoder layers',
    words: ['train', ...trainPaths, '--shallow-layers', '4', '--decoder-layers', '4'],
    error:
      '--shallow-layers: must be less than the decoder layers: the shallow exit comes before the last layer',
    hint: 'shallowdeep train --help shows what there is',
  },
  {
    name: 'a threshold outside [0, 1]',
    words: ['evaluate', '--checkpoint', missing, '--data', data, '--threshold', '1.5'],
    error: '--threshold: expected a number from 0 to 1, adaptive or calibrated, got 1.5',
    hint: 'shallowdeep evaluate --help shows what there is',
  },
  {
    name: 'an exit layer under a policy that has none',
    words: ['generate', '--checkpoint', missing, '--exit-layer', '2', 'x'],
    error: '--exit-layer: belongs to policy static only',
    hint: 'shallowdeep generate --help shows what there is',
  },
  {
    name: 'a gate without what it compares',
    words: ['evaluate', '--checkpoint', missing, '--data', data, '--min-speedup', '2'],
    error: '--min-speedup: needs --baseline full, which the speed-up is over',
    hint: 'shallowdeep evaluate --help shows what there is',
  },
  {
    name: 'an unknown key in a configuration file, with its line',
    words: ['train', ...trainPaths, '--config', write('unknown.yaml', 'epochs: 2\nbatchSiz: 8\n')],
    error: `${join(folder, 'unknown.yaml')}, line 2: unknown key batchSiz; did you mean batchSize?`,
    hint: 'shallowdeep train --help shows what there is',
  },
  {
    name: 'impossible values in a configuration file, with their lines',
    words: [
      'train',
      ...trainPaths,
      '--config',
      write('bad.yaml', '# tiny\nlabelSmoothing: 1\ndecoderLayers: 4\nshallowLayers: 4\n'),
    ],
    error:
      `${join(folder, 'bad.yaml')}, line 2: labelSmoothing: expected a number from 0 to below 1, got 1; ` +
      `${join(folder, 'bad.yaml')}, line 4: shallowLayers: must be less than the decoder layers: ` +
      'the shallow exit comes before the last layer',
    hint: 'shallowdeep train --help shows what there is',
  },
  {
    name: 'a configuration file that is broken',
    words: ['train', '--config', write('broken.json', '{"epochs": 2,,}\n')],
    error: `${join(folder, 'broken.json')}, line 1, column 14: Unexpected , in flow map`,
    hint: 'the file must be YAML or JSON: one option a line, as maxPending: 8',
  },
  {
    name: 'a configuration file that is missing',
    words: ['train', '--config', missing],
    error: `there is no configuration file ${missing}`,
    hint: 'check the path; it is taken from the current folder',
  },
  {
    name: 'a data file that is missing',
    words: ['tokenizer', 'train', '--data', `${missing}.csv`, '--output', join(folder, 't.json')],
    error: `no data file at ${missing}.csv`,
    hint: 'check the path; it is taken from the current folder',
  },
  {
    name: 'a column that is missing',
    words: [
      'tokenizer',
      'train',
      '--data',
      data,
      '--source-column',
      'sorce',
      '--output',
      join(folder, 't.json'),
    ],
    error: `${data}: no column "sorce"; the columns are "source", "target"; did you mean "source"?`,
    hint: 'name the columns with --source-column and --target-column',
  },
  {
    name: 'an output file that is there already',
    words: ['tokenizer', 'train', '--data', data, '--output', data],
    error: `--output: ${data} is there already`,
    hint: 'add --overwrite to replace it, or name another file',
  },
  {
    name: 'a tokenizer that is missing',
    words: ['train', ...trainPaths],
    error: `expected a tokenizer at ${missing}, found no such file`,
    hint: 'name a tokenizer.json or spiece.model or the folder it is in; shallowdeep tokenizer train makes one',
  },
  {
    name: 'a training into a folder with other files',
    words: ['train', '--data', data, '--tokenizer', missing, '--output', folder],
    error: `${folder} is not empty and holds no training run`,
    hint: 'name a new folder as --output',
  },
  {
    name: 'a resumption of nothing',
    words: ['train', '--resume', '--output', missing],
    error: `${missing} holds no training run to resume from`,
    hint: 'leave out --resume to begin a run there',
  },
  {
    name: 'a checkpoint that is missing',
    words: ['generate', '--checkpoint', missing, 'x'],
    error: `no checkpoint folder ${missing} with files in it`,
    hint: 'give the folder that holds config.json and model.safetensors',
  },
  {
    name: 'an unknown metric',
    words: ['evaluate', '--checkpoint', missing, '--data', data, '--metrics', 'bleu,rogue1'],
    error: `unknown metric rogue1, expected one of ${METRIC_NAMES.join(', ')}`,
    hint: 'Did you mean rouge1?',
  },
  {
    name: 'an unknown backend',
    words: ['info', '--backend', 'wams'],
    error: 'unknown backend wams; expected one of wasm, node, node-gpu, cpu, webgl, webgpu',
    hint: 'did you mean wasm?',
  },
]

describe('wrong use of the command', () => {
  for (const { name, words, error, hint } of MISTAKES) {
    it(`is told in one line and a hint: ${name}`, async () => {
      const result = await runCommand(words)
      assert.equal(result.stderr, `error: ${error}\nhint: ${hint}\n`)
      assert.equal(result.stdout, '')
      assert.equal(result.code, 2)
    })
  }

  it('without a command is answered with the help on standard error', async () => {
    const result = await runCommand([])
    assert.match(result.stderr, /^Usage: shallowdeep \[options\] \[command\]/)
    assert.equal(result.code, 2)
  })

  it('shows the stack of an error only when asked', async () => {
    const result = await runCommand(['generate', '--verbose', '--checkpoint', missing, 'x'])
    assert.match(result.stderr, /^error: [^\n]+\nhint: [^\n]+\nShallowDeepError: .*\n +at /)
    assert.equal(result.code, 2)
  })
})

const COMMANDS = [
  ['tokenizer', 'train'],
  ['train'],
  ['generate'],
  ['calibrate'],
  ['evaluate'],
  ['ablate', 'thresholds'],
  ['score'],
  ['compare'],
  ['choose-depth'],
  ['info'],
]

describe('the help', () => {
  for (const words of COMMANDS) {
    it(`of ${words.join(' ')} fits 80 columns and ends with an example that the command understands`, async () => {
      const { code, stdout, stderr } = await runCommand([...words, '--help'])
      assert.equal(stderr, '')
      assert.equal(code, 0)
      const [help, examples] = stdout.split('\nExample:\n')
      for (const line of help.split('\n')) assert.ok(line.length <= 80, line)
      assert.doesNotMatch(help, /undefined|\[object/)
      const own = examples
        .replaceAll(/ \\\n +/g, ' ')
        .split('\n')
        .at(-2)!
        .trim()
      assert.ok(own.startsWith(`shallowdeep ${words.join(' ')}`), own)
    })
  }

  it('of the program lists every command', async () => {
    const { stdout, code } = await runCommand(['--help'])
    for (const [name] of COMMANDS) assert.match(stdout, new RegExp(`^  ${name} `, 'm'))
    assert.equal(code, 0)
  })

  it('of a command can be asked for by help, too', async () => {
    const [a, b] = await Promise.all([runCommand(['help', 'info']), runCommand(['info', '--help'])])
    assert.deepEqual(a, b)
  })
})

describe('the command', () => {
  it('tells its version', async () => {
    assert.deepEqual(await runCommand(['--version']), { code: 0, stdout: '0.1.0\n', stderr: '' })
  })

  // npx links a package's program once, and makes it executable then: a later build has to leave it so.
  it('starts by itself after a build', () => {
    const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    assert.equal(execFileSync(join(ROOT, bin.shallowdeep), ['--version'], { encoding: 'utf8' }), '0.1.0\n')
  })

  it('ends quietly when nobody reads its output any more', async () => {
    const { child, result } = startCommand(['train', '--help'])
    child.stdout!.destroy()
    const { code, stderr } = await result
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  })

  it('info tells versions, backends, and the one chosen and why', async () => {
    const { code, stdout } = await runCommand(['info', '--json', '--backend', 'wasm'])
    const report = JSON.parse(stdout)
    assert.equal(code, 0)
    assert.deepEqual(Object.keys(report.versions).slice(0, 3), ['shallowdeep', 'node', 'tfjs'])
    assert.deepEqual([report.chosen.name, report.chosen.reason], ['wasm', 'asked for'])
    assert.ok(report.backends.some(({ name }: { name: string }) => name === 'wasm'))
    assert.equal(report.onnxruntime.isPresent, true)
  })

  it('info is readable without --json', async () => {
    const { stdout } = await runCommand(['info', '--backend', 'wasm', '--threads', '1'])
    assert.match(stdout, /^shallowdeep 0\.1\.0, node /)
    assert.match(stdout, /^\* wasm +tfjs-backend-wasm/m)
    assert.match(stdout, /^ONNX Runtime: onnxruntime-node \d/m)
    assert.match(stdout, /^chosen: wasm, 1 thread \(asked for\)$/m)
  })
})
