// `shallowdeep import` as a user runs it: folders of every kind, a hub on loopback, and mistakes.
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { readCheckpointFolder, writeCheckpointFolder } from '../../src/checkpoint/index.node.js'
import { parseModelConfig } from '../../src/config/index.js'
import { initialWeights } from '../../src/model/index.js'
import { startHub } from '../checkpoint/hubServer.js'
import { ROOT, runCommand, temporaryFolder } from './runCommand.js'

const folder = temporaryFolder('import')
const GOLDEN = join(ROOT, 'test/golden')
const parity = (name: string) => join(GOLDEN, 't5-parity', name)
const OFFLINE = { HF_ENDPOINT: 'http://127.0.0.1:1', HF_HOME: join(folder, 'empty') }

/** Reads a golden file, gzipped or not. */
function readGolden(path: string): Buffer {
  const plain = join(GOLDEN, path)
  return existsSync(plain) ? readFileSync(plain) : gunzipSync(readFileSync(`${plain}.gz`))
}

describe('shallowdeep import', () => {
  it('makes of each kind of folder a checkpoint that holds the same model', async () => {
    for (const name of ['sharded', 'bfloat16', 'mt5']) {
      const output = join(folder, name)
      const { code, stdout, stderr } = await runCommand([
        'import',
        parity(name),
        '--output',
        output,
        '--json',
      ])
      assert.equal(code, 0, stderr)
      assert.match(stderr, /^warning: .* has no tokenizer: put a tokenizer\.json beside\n$/)
      const result = JSON.parse(stdout)
      const expected = await readCheckpointFolder(parity(name))
      assert.deepEqual(await readCheckpointFolder(output), expected)
      assert.deepEqual(readdirSync(output).sort(), ['config.json', 'model.safetensors'])
      assert.deepEqual([result.config, result.commit, result.tokenizer], [expected.config, null, null])
    }
  })

  it('puts the shallow exit where it is asked to, half-way by default, and stores what it is asked to', async () => {
    const exits: number[] = []
    for (const more of [[], ['--shallow-layers', '3', '--dtype', 'float16', '--overwrite']]) {
      const output = join(folder, 'exit')
      const { code, stdout } = await runCommand(['import', parity('asymmetric'), '--output', output, ...more])
      assert.equal(code, 0)
      assert.match(stdout, /2 encoder and 4 decoder layers, shallow exit after layer \d\n$/)
      exits.push((await readCheckpointFolder(output)).config.shallowLayers)
    }
    assert.deepEqual(exits, [2, 3])
    const size = (path: string) => readFileSync(join(path, 'model.safetensors')).length
    assert.ok(size(join(folder, 'exit')) < 0.6 * size(parity('asymmetric')))
  })

  it('makes a tokenizer.json of a spiece.model alone', async () => {
    const source = join(folder, 'spiece')
    const shape = {
      vocabSize: 1500,
      dModel: 8,
      numHeads: 2,
      dKv: 4,
      dFf: 16,
      encoderLayers: 1,
      decoderLayers: 2,
    }
    const config = parseModelConfig({ ...shape, shallowLayers: 1 }, 'test')
    await writeCheckpointFolder(source, { config, weights: initialWeights(config, 1) })
    writeFileSync(join(source, 'spiece.model'), readGolden('tokenizers/unigram-t5/spiece.model'))
    const output = join(folder, 'spiece-imported')
    const imported = await runCommand(['import', source, '--output', output, '--json'])
    assert.equal(imported.code, 0, imported.stderr)
    assert.equal(JSON.parse(imported.stdout).tokenizer, 'spiece.model')
    const words = [
      'generate',
      '--checkpoint',
      output,
      '--max-new-tokens',
      '4',
      '--backend',
      'wasm',
      'a house',
    ]
    const generated = await runCommand(words)
    assert.equal(generated.code, 0, generated.stderr)
  })

  it('downloads a model of the hub once, and finds it without a network', async () => {
    const files = new Map(
      ['config.json', 'model.safetensors'].map((name) => [name, readFileSync(join(parity('v11'), name))]),
    )
    const hub = await startHub('someone/t5', files, new Set(['model.safetensors']))
    const env = { HF_ENDPOINT: hub.url, HF_HOME: join(folder, 'home') }
    const words = (output: string) => ['import', 'someone/t5', '--output', join(folder, output), '--json']
    const first = await runCommand(words('hub'), { env })
    await hub.close()
    assert.equal(first.code, 0, first.stderr)
    assert.equal(JSON.parse(first.stdout).commit, hub.commit)
    assert.ok(existsSync(join(folder, 'home/hub/models--someone--t5/snapshots', hub.commit, 'config.json')))
    const second = await runCommand(words('again'), { env })
    assert.equal(second.code, 0, second.stderr)
    assert.match(
      second.stderr,
      new RegExp(`^warning: someone/t5 was taken from the cache, commit ${hub.commit}$`, 'm'),
    )
    const expected = await readCheckpointFolder(parity('v11'))
    for (const output of ['hub', 'again'])
      assert.deepEqual(await readCheckpointFolder(join(folder, output)), expected)
  })

  it('tells each mistake in one line, before any work', async () => {
    mkdirSync(join(folder, 'full'))
    cpSync(parity('v10/config.json'), join(folder, 'full/config.json'))
    const bare = join(folder, 'bare')
    cpSync(parity('v10'), bare, { recursive: true })
    rmSync(join(bare, 'model.safetensors'))
    const output = ['--output', join(folder, 'new')]
    const mistakes: [string[], number, RegExp][] = [
      [['import'], 2, /^error: missing required argument 'source'\n/],
      [
        ['import', './missing', ...output],
        2,
        /^error: expected a folder or the id of a hub model \(owner\/name\), got \.\/missing/,
      ],
      [['import', parity('v10')], 2, /^error: --output: missing; expected a folder\n/],
      [
        ['import', parity('v10'), '--output', join(folder, 'full')],
        2,
        /^error: \S+full exists already and is not overwritten\n/,
      ],
      [
        ['import', bare, ...output],
        2,
        /^error: \S+bare: expected a file model\.safetensors, there is none\nhint: .*shards/,
      ],
      [
        ['import', parity('v10'), ...output, '--shallow-layers', '3'],
        2,
        /^error: .*shallowLayers: must be less than decoderLayers/,
      ],
      [
        ['import', 'someone/t5', ...output],
        1,
        /^error: no folder someone\/t5, and http:\/\/127\.0\.0\.1:1 cannot be reached: /,
      ],
    ]
    for (const [words, exitCode, pattern] of mistakes) {
      const { code, stderr, stdout } = await runCommand(words, { env: OFFLINE })
      assert.match(stderr, pattern)
      assert.equal(stderr.trimEnd().split('\n').length, 2, stderr)
      assert.deepEqual([code, stdout], [exitCode, ''], stderr)
      assert.ok(!existsSync(join(folder, 'new')))
    }
  })

  it('shows a help of 80 columns that ends with an example', async () => {
    const { stdout } = await runCommand(['import', '--help'])
    const [help, example] = stdout.split('\nExample:\n')
    for (const line of help.split('\n')) assert.ok(line.length <= 80, line)
    assert.match(example, /^ {2}shallowdeep import /)
  })
})
