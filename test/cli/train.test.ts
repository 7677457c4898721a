// `train` through the command: a whole run, Ctrl-C and going on, divergence, and what a resumption refuses.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parse } from 'yaml'
import { runCommand, startCommand, temporaryFolder } from './runCommand.js'
import { makeTinyData, trainTinyRun, trainWords } from './tinyRun.js'

type LogLine = Record<string, unknown> & { readonly type: string }

function readLog(output: string): LogLine[] {
  return readFileSync(join(output, 'log.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as LogLine)
}

/** Waits until a run's log has a line of a type. */
async function waitForLine(output: string, type: string): Promise<void> {
  const path = join(output, 'log.jsonl')
  for (;;) {
    if (existsSync(path) && readFileSync(path, 'utf8').includes(`"type":"${type}"`)) return
    await wait(20)
  }
}

const weightsOf = (folder: string) => readFileSync(join(folder, 'model.safetensors'))
const momentsOf = (folder: string) => readFileSync(join(folder, 'optimiser.safetensors'))

describe('train', () => {
  it('trains, validates both exits by loss and BLEU, and says which checkpoint is the best', async () => {
    const { result, output } = await trainTinyRun()
    const summary = JSON.parse(result.stdout)
    assert.deepEqual(Object.keys(summary), ['steps', 'bestStep', 'validation', 'checkpoint'])
    assert.equal(summary.steps, 30)
    assert.equal(summary.checkpoint, join(output, `step-${summary.bestStep}`))
    assert.ok(existsSync(join(summary.checkpoint, 'model.safetensors')))
    for (const exit of ['shallow', 'deep']) {
      const { loss, perplexity, bleu } = summary.validation[exit]
      assert.ok(Math.abs(perplexity - Math.exp(loss)) < 1e-6)
      assert.ok(bleu >= 0 && bleu <= 100)
    }
    assert.ok(summary.validation.agreement >= 0 && summary.validation.agreement <= 1)
    assert.match(result.stderr, /^backend wasm \(asked for\)\n[\d,]+ parameters, 36 examples, 30 steps\n/)
    assert.match(result.stderr, /step 15: shallow loss [\d.]+ BLEU [\d.]+, deep loss [\d.]+ BLEU [\d.]+/)
  })

  it('logs steps, validations and checkpoints as JSON lines, and learns', async () => {
    const { output } = await trainTinyRun()
    const log = readLog(output)
    const types = log.map(({ type }) => type)
    const expected = [
      'prepared',
      'step',
      'step',
      'validation',
      'saved',
      'step',
      'step',
      'validation',
      'saved',
      'end',
    ]
    assert.deepEqual(types, expected)
    const steps = log.filter(({ type }) => type === 'step')
    assert.deepEqual(
      steps.map(({ step }) => step),
      [10, 15, 20, 30],
    )
    assert.ok(steps.every(({ tokensPerSecond }) => (tokensPerSecond as number) > 0))
    assert.ok((steps[3].loss as number) < (steps[0].loss as number))
  })

  it('stores its options, which begin the same run elsewhere', async () => {
    const { output } = await trainTinyRun()
    const { data, folder } = await makeTinyData()
    const path = join(output, 'config.yaml')
    const stored = parse(readFileSync(path, 'utf8'))
    assert.deepEqual([stored.data, stored.dModel, stored.backend, stored.seed], [data, 16, 'wasm', 7])
    const again = join(folder, 'again')
    const words = ['--validation-limit', '0', '--validate-every', '0']
    const result = await runCommand(['train', '--config', path, '--output', again, ...words])
    assert.equal(result.code, 0, result.stderr)
    assert.ok(weightsOf(join(again, 'step-30')).equals(weightsOf(join(output, 'step-30'))))
  })

  it('refuses a folder that holds a run, before any work', async () => {
    const { output } = await trainTinyRun()
    const result = await runCommand(await trainWords(output))
    const last = join(output, 'step-30')
    assert.equal(
      result.stderr,
      `error: ${output} holds a training run already (last checkpoint ${last})\n` +
        'hint: add --resume to go on with it, or name another --output\n',
    )
    assert.equal(result.code, 2)
  })

  const shapeFile = join(temporaryFolder('shape'), 'shape.yaml')
  writeFileSync(shapeFile, 'dModel: 64\n')
  const refusals: readonly [string, readonly string[], string][] = [
    ['another shape', ['--d-model', '32'], 'the run has a model of another shape: dModel 16 -> 32'],
    [
      'another shape from a configuration file, which wins over what is stored',
      ['--config', shapeFile],
      'the run has a model of another shape: dModel 16 -> 64',
    ],
    ['other examples', ['--limit', '20'], 'the training examples are not those that the run was begun with'],
  ]
  for (const [name, words, message] of refusals) {
    it(`refuses to resume with ${name}`, async () => {
      const { output } = await trainTinyRun()
      const result = await runCommand(['train', '--resume', '--output', output, ...words])
      assert.ok(result.stderr.includes(message), result.stderr)
      assert.match(result.stderr, /^error: [^\n]+\nhint: [^\n]+\n$/)
      assert.equal(result.code, 2)
    })
  }

  it('saves at Ctrl-C, says how to go on, and then learns what an uninterrupted run does', async () => {
    const { folder } = await makeTinyData()
    const output = join(folder, "it's interrupted")
    const { child, result } = startCommand(
      await trainWords(output, ['--steps', '100000', '--log-every', '1']),
    )
    await waitForLine(output, 'step')
    child.kill('SIGINT')
    const { code, stdout, stderr } = await result
    assert.equal(code, 130, stderr)
    assert.equal(stdout, '')
    const [, step] = /interrupted after step (\d+); saved /.exec(stderr)!
    const saved = join(output, `step-${step}`)
    assert.ok(stderr.includes(`finishing the step, then saving; Ctrl-C again quits at once\n`), stderr)
    const goOn = `shallowdeep train --resume --output '${output.replace("'", "'\\''")}'`
    assert.ok(
      stderr.endsWith(`warning: interrupted after step ${step}; saved ${saved}\ngo on with: ${goOn}\n`),
      stderr,
    )

    const last = `${Number(step) + 3}`
    const resumed = await runCommand(['train', '--resume', '--output', output, '--steps', last, '--json'])
    assert.equal(resumed.code, 0, resumed.stderr)
    assert.ok(resumed.stderr.includes(`going on after step ${Number(step).toLocaleString('en-US')}\n`))
    const straight = join(folder, 'straight')
    const whole = await runCommand(await trainWords(straight, ['--steps', last]))
    assert.equal(whole.code, 0, whole.stderr)
    const [a, b] = [output, straight].map((run) => join(run, `step-${last}`))
    assert.ok(weightsOf(a).equals(weightsOf(b)))
    assert.ok(momentsOf(a).equals(momentsOf(b)))
    assert.deepEqual(JSON.parse(resumed.stdout), {
      steps: Number(last),
      bestStep: Number(last),
      validation: null,
      checkpoint: a,
    })
    const types = readLog(output).map(({ type }) => type)
    assert.equal(types.filter((type) => type === 'prepared').length, 2)
    assert.equal(types.filter((type) => type === 'step').length, Number(last))
  })

  it('stops at a loss that is not a number, and names the step and the last good checkpoint', async () => {
    const { folder } = await makeTinyData()
    const output = join(folder, 'diverged')
    const more = ['--steps', '20', '--optimiser', 'adamw', '--learning-rate', '1e30', '--save-every', '1']
    const result = await runCommand(await trainWords(output, [...more, '--warmup-steps', '0']))
    assert.equal(result.code, 1, result.stderr)
    const [, step] =
      /\nerror: step (\d+): the loss is \S+ and the gradient norm \S+; training has diverged\n/.exec(
        result.stderr,
      )!
    const last = join(output, `step-${Number(step) - 1}`)
    const hint = 'add --resume to go on from it with a lower --learning-rate or more --warmup-steps'
    assert.ok(result.stderr.endsWith(`hint: the last good checkpoint is ${last}; ${hint}\n`), result.stderr)
    assert.equal(readLog(output).at(-1)!.type, 'failed')

    const follow = ['train', '--resume', '--output', output, '--learning-rate', '1e-3', '--steps', step]
    const resumed = await runCommand(follow)
    assert.ok(resumed.stderr.includes('changed: learningRate 1e+30 -> 0.001\n'), resumed.stderr)
  })
})
