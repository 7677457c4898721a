// `finetune` through the command: another shallow exit, low-rank updates and their files, Ctrl-C and going on, and wishes
// that cannot be.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parse } from 'yaml'
import { readCheckpointFolder } from '../../src/checkpoint/index.node.js'
import { mergeLora } from '../../src/model/index.js'
import { readAdapter } from '../../src/training/index.node.js'
import { runCommand, startCommand } from './runCommand.js'
import { makeTinyData, trainTinyRun } from './tinyRun.js'

const readLog = (output: string) =>
  readFileSync(join(output, 'log.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

/** Flags that fine-tune the tiny run into a folder. */
async function finetuneWords(output: string, more: readonly string[] = []): Promise<string[]> {
  const { data } = await makeTinyData()
  const { output: from } = await trainTinyRun()
  const words = ['finetune', '--from', from, '--data', data, '--output', output, '--batch-size', '12']
  return [...words, '--backend', 'wasm', '--seed', '3', ...more]
}

/** A folder beside the tiny data. */
async function folderFor(name: string): Promise<string> {
  return join((await makeTinyData()).folder, `finetuned-${name}`)
}

/** The checkpoint of the tiny run that fine-tuning begins from. */
async function bestOfTinyRun(): Promise<string> {
  return JSON.parse((await trainTinyRun()).result.stdout).checkpoint
}

const weightBits = (data: Float32Array) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)

describe('finetune', () => {
  it("takes shape and tokenizer from a run's best checkpoint, moves the shallow exit, and leaves frozen parts alone", async () => {
    const output = await folderFor('moved')
    const { data } = await makeTinyData()
    const more = [
      '--shallow-layers',
      '2',
      '--freeze',
      'encoder',
      '--steps',
      '6',
      '--confidence-head',
      '--json',
    ]
    const validation = ['--validation', data, '--validation-limit', '2', '--task', 'question-answering']
    const result = await runCommand(await finetuneWords(output, [...more, ...validation]))
    assert.equal(result.code, 0, result.stderr)
    const summary = JSON.parse(result.stdout)
    assert.deepEqual(Object.keys(summary), ['steps', 'bestStep', 'validation', 'checkpoint'])
    const { shallow, deep, agreement, confidenceLoss } = summary.validation
    assert.ok([shallow.bleu, deep.bleu, agreement, confidenceLoss].every((x) => x >= 0))
    for (const exit of [shallow, deep]) {
      assert.deepEqual(Object.keys(exit), ['loss', 'perplexity', 'bleu', 'scores'])
      assert.deepEqual(Object.keys(exit.scores), ['exactMatch', 'f1'])
      assert.ok(exit.scores.f1 >= exit.scores.exactMatch && exit.scores.f1 <= 100)
    }
    assert.match(result.stderr, /step 6: shallow loss [\d.]+ exactMatch [\d.]+, deep loss [\d.]+ exactMatch /)
    assert.match(result.stderr, /[\d,]+ parameters \([\d,]+ trained\), 36 examples, 6 steps\n/)
    const from = await bestOfTinyRun()
    const [before, after] = [await readCheckpointFolder(from), await readCheckpointFolder(summary.checkpoint)]
    assert.deepEqual(after.config, { ...before.config, shallowLayers: 2, confidenceHead: true })
    assert.deepEqual(after.tokenizerJson, before.tokenizerJson)
    for (const [name, { data: values }] of before.weights) {
      const isSame = weightBits(values).equals(weightBits(after.weights.get(name)!.data))
      assert.equal(isSame, name.startsWith('encoder.'), name)
    }
    const stored = parse(readFileSync(join(output, 'config.yaml'), 'utf8'))
    const { optimiser, learningRate, schedule, warmupSteps, labelSmoothing } = stored
    assert.deepEqual([stored.from, optimiser, learningRate], [from, 'adafactor', 1e-3])
    assert.deepEqual([schedule, warmupSteps, labelSmoothing], ['constant', 0, 0])

    const learned = ['--policy', 'free', '--confidence', 'learned', '--json', 'eins zwei']
    const decoded = await runCommand(['generate', '--checkpoint', output, '--threshold', '0', ...learned])
    assert.equal(decoded.code, 0, decoded.stderr)
    const { exits, confidences } = JSON.parse(decoded.stdout)
    assert.ok(exits.length > 0 && exits.every((exit: string) => exit === 'shallow'))
    assert.ok(confidences.every((c: number) => c > 0 && c < 1))
    const refused = await runCommand(['generate', '--checkpoint', from, ...learned])
    assert.equal(refused.code, 2)
    assert.match(
      refused.stderr,
      /error: confidence learned: expected a model with a confidence head, this one/,
    )

    // Its own run's best serves as a beginning too, and keeps its exit and its head.
    const again = await folderFor('again')
    const words = ['finetune', '--from', output, '--data', data, '--output', again, '--backend', 'wasm']
    const second = await runCommand([...words, '--train', 'confidence-head', '--steps', '2'])
    assert.equal(second.code, 0, second.stderr)
    const { config, weights } = await readCheckpointFolder(join(again, 'step-2'))
    assert.deepEqual(config, after.config)
    for (const [name, { data: values }] of after.weights) {
      const isSame = weightBits(values).equals(weightBits(weights.get(name)!.data))
      assert.equal(isSame, !name.startsWith('confidenceHead.'), name)
    }
  })

  it('low-rank updates: checkpoints hold them merged, adapter/ alone; after Ctrl-C it goes on to the bit', async () => {
    const flags = ['--lora-rank', '2', '--lora-dropout', '0.2', '--lora-targets', 'query,feed-forward']
    const output = await folderFor('updates')
    const more = [...flags, '--steps', '100000', '--log-every', '1']
    const { child, result } = startCommand(await finetuneWords(output, more))
    const log = join(output, 'log.jsonl')
    while (!existsSync(log) || !readFileSync(log, 'utf8').includes('"type":"step"')) await wait(20)
    child.kill('SIGINT')
    const { code, stderr } = await result
    assert.equal(code, 130, stderr)
    assert.ok(stderr.endsWith(`go on with: shallowdeep finetune --resume --output ${output}\n`), stderr)
    const step = Number(/interrupted after step (\d+);/.exec(stderr)![1])

    const last = `${step + 2}`
    const resumed = await runCommand(['finetune', '--resume', '--output', output, '--steps', last])
    assert.equal(resumed.code, 0, resumed.stderr)
    const straight = await folderFor('straight-updates')
    const whole = await runCommand(await finetuneWords(straight, [...flags, '--steps', last]))
    assert.equal(whole.code, 0, whole.stderr)
    const files = ['model', 'extras', 'optimiser'].map((name) => join(`step-${last}`, `${name}.safetensors`))
    for (const file of [...files, join('adapter', 'adapter_model.safetensors')]) {
      const [a, b] = [output, straight].map((folder) => readFileSync(join(folder, file)))
      assert.ok(a.equals(b), file)
    }

    const from = await bestOfTinyRun()
    const [before, after] = [
      await readCheckpointFolder(from),
      await readCheckpointFolder(join(output, `step-${last}`)),
    ]
    const lora = await readAdapter(join(output, 'adapter'), before.config)
    assert.deepEqual([lora.rank, lora.alpha], [2, 16])
    const merged = mergeLora(before.weights, lora)
    for (const [name, { data }] of merged) {
      assert.ok(weightBits(data).equals(weightBits(after.weights.get(name)!.data)), name)
    }
    assert.notDeepEqual(after.weights, before.weights)
    const settings = JSON.parse(readFileSync(join(output, 'adapter', 'adapter_config.json'), 'utf8'))
    assert.equal(settings.base_model_name_or_path, from)
    const stored = parse(readFileSync(join(output, 'config.yaml'), 'utf8'))
    assert.deepEqual([stored.optimiser, stored.learningRate], ['adamw', 1e-3])
  })

  it('goes on with another learning rate and schedule where they are given, and says and records it', async () => {
    const output = await folderFor('slower')
    const begun = await runCommand(await finetuneWords(output, ['--steps', '2']))
    assert.equal(begun.code, 0, begun.stderr)
    const changed = ['--learning-rate', '0.0001', '--schedule', 'linear']
    const result = await runCommand(['finetune', '--resume', '--output', output, '--steps', '4', ...changed])
    assert.equal(result.code, 0, result.stderr)
    const changes = ['learningRate 0.001 -> 0.0001', 'schedule "constant" -> "linear"']
    assert.ok(result.stderr.includes(`changed: ${changes.join(', ')}\n`), result.stderr)
    const stored = parse(readFileSync(join(output, 'config.yaml'), 'utf8'))
    assert.deepEqual([stored.learningRate, stored.schedule], [0.0001, 'linear'])
    const prepared = readLog(output).filter(({ type }) => type === 'prepared')
    assert.deepEqual(
      prepared.map((line) => line.changes),
      [[], changes],
    )
  })

  it('auto finds the shallow depth on the data, shows why, and stores it', async () => {
    const output = await folderFor('auto')
    const result = await runCommand(await finetuneWords(output, ['--shallow-layers', 'auto', '--steps', '2']))
    assert.equal(result.code, 0, result.stderr)
    const [, layer] = /\nShallow exit after (\d) of 3 layers[:,] /.exec(result.stderr)!
    assert.ok(result.stderr.indexOf('\nlayer ') < result.stderr.indexOf('backend wasm'))
    const stored = parse(readFileSync(join(output, 'config.yaml'), 'utf8'))
    const { config } = await readCheckpointFolder(join(output, 'step-2'))
    assert.deepEqual([stored.shallowLayers, config.shallowLayers], [Number(layer), Number(layer)])
    const again = ['finetune', '--resume', '--output', output, '--shallow-layers', 'auto', '--steps', '3']
    const resumed = await runCommand(again)
    assert.equal(resumed.code, 0, resumed.stderr)
    assert.equal((await readCheckpointFolder(join(output, 'step-3'))).config.shallowLayers, Number(layer))
    assert.equal(parse(readFileSync(join(output, 'config.yaml'), 'utf8')).shallowLayers, Number(layer))
  })

  it('its help fits 80 columns and shows every default', async () => {
    const { stdout, code } = await runCommand(['finetune', '--help'])
    assert.equal(code, 0)
    const [help] = stdout.split('\nExample:\n')
    for (const line of help.split('\n')) assert.ok(line.length <= 80, line)
    assert.doesNotMatch(help, /undefined|default: \)/)
  })

  const refusals: readonly [string, readonly string[], RegExp][] = [
    [
      'a shallow exit at the last layer',
      ['--shallow-layers', '3'],
      /^error: --shallow-layers: expected fewer than the 3 decoder layers of \S+, got 3\n/,
    ],
    [
      'training a confidence head that is not there',
      ['--train', 'confidence-head'],
      /^error: the model has no weights in what is to be trained: confidence-head\nhint: add [^\n]*--confidence-head\n/,
    ],
    [
      'low-rank updates of parts that have no matrices',
      ['--lora-rank', '2', '--train', 'head'],
      /^error: --lora-rank: the parts that are trained have no matrices of query, value\n/,
    ],
    [
      'the scale of low-rank updates without a rank',
      ['--lora-alpha', '8'],
      /^error: --lora-alpha: belongs to low-rank updates: they need a rank/,
    ],
    [
      'adafactor for low-rank updates',
      ['--lora-rank', '2', '--optimiser', 'adafactor'],
      /^error: --optimiser: adafactor /,
    ],
    [
      'both train and freeze',
      ['--train', 'head', '--freeze', 'encoder'],
      /^error: --freeze: train says already/,
    ],
    [
      'a part that is none',
      ['--freeze', 'encoders'],
      /^error: --freeze: expected embeddings, .* got "encoders"\n/,
    ],
    [
      'a checkpoint that is not there',
      ['--from', '/nowhere/at-all'],
      /^error: no checkpoint folder \/nowhere\/at-all/,
    ],
  ]
  for (const [name, words, message] of refusals) {
    it(`refuses ${name}, in one line, before any work`, async () => {
      const output = await folderFor('refused')
      const result = await runCommand(await finetuneWords(output, words))
      assert.match(result.stderr, message)
      assert.match(result.stderr, /^error: [^\n]+\nhint: [^\n]+\n$/)
      assert.equal(result.code, 2)
      assert.ok(!existsSync(output))
    })
  }

  it('a run is resumed by the command that began it, from what it was begun from', async () => {
    const { output: trained } = await trainTinyRun()
    const output = await folderFor('once')
    const begun = await runCommand(await finetuneWords(output, ['--steps', '1']))
    assert.equal(begun.code, 0, begun.stderr)
    const cases: readonly [string[], RegExp][] = [
      [
        ['train', '--resume', '--output', output],
        /^error: \S+ holds a run of finetune, not of train\nhint: [^\n]+\n$/,
      ],
      [['finetune', '--resume', '--output', trained], /^error: \S+ holds a run of train, not of finetune\n/],
      [
        ['finetune', '--resume', '--output', output, '--from', join(trained, 'step-1')],
        /^error: the run in \S+ was begun from \S+, not from \S+\n/,
      ],
      [
        ['finetune', '--resume', '--output', output, '--shallow-layers', '2'],
        /shape: shallowLayers 1 -> 2\n/,
      ],
    ]
    for (const [words, message] of cases) {
      const result = await runCommand(words)
      assert.match(result.stderr, message)
      assert.equal(result.code, 2)
    }
  })
})
