// Exports: what goes out comes back to the bit, what tf.loadLayersModel makes of it gives the reference's logits, from disk and
// from a server, and a folder is there whole or not at all.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as tf from '@tensorflow/tfjs'
import { readSafetensors, type StoredTensor } from '../../src/checkpoint/index.js'
import { readCheckpointFolder, writeCheckpointFolder } from '../../src/checkpoint/index.node.js'
import { exportOptionsSchema } from '../../src/config/index.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { registerLayers } from '../../src/model/index.js'
import { exportCheckpoint, fromTfjsFile } from '../../src/pipeline/index.node.js'
import { openTokenizer } from '../../src/tokenizer/index.js'
import { parityCaseNames, readParityCase } from '../golden/parity.js'
import { useTemporaryFolder } from '../checkpoint/temporaryFolder.js'

const run = promisify(execFile)
const CHILD = fileURLToPath(new URL('./loadTfjs.child.ts', import.meta.url))
const golden = (name: string) => fileURLToPath(new URL(`../golden/t5-parity/${name}`, import.meta.url))
const trained = fileURLToPath(new URL('../../checkpoints/translation-de-en', import.meta.url))

/** The vectors' own bound for float32, and a wider one where weights were rounded. */
function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  bound: number,
  what: string,
): void {
  assert.equal(actual.length, expected.length, what)
  for (let i = 0; i < expected.length; i++) {
    const isClose = Math.abs(actual[i] - expected[i]) <= bound * (1 + Math.abs(expected[i]))
    if (!isClose) assert.fail(`${what} ${i}: ${actual[i]}, not ${expected[i]}`)
  }
}

describe('export', () => {
  const temporary = useTemporaryFolder()

  async function exportIt(checkpoint: string, options: Record<string, unknown>): Promise<string> {
    const output = temporary('export')
    await exportCheckpoint(exportOptionsSchema.parse({ checkpoint, output, ...options }))
    return output
  }

  describe('for the Hugging Face ecosystem', () => {
    it('comes back as it went out, for every checkpoint of the vectors', async () => {
      for (const name of [...parityCaseNames(), 'v10-old-file']) {
        const output = await exportIt(golden(name), { format: 'huggingface' })
        assert.deepEqual(await readCheckpointFolder(output), await readCheckpointFolder(golden(name)), name)
      }
    })

    it('stores halves as the reference stored them, to the bit', async () => {
      for (const dtype of ['float16', 'bfloat16']) {
        const output = await exportIt(golden(dtype), { format: 'huggingface', dtype })
        const read = (folder: string) =>
          readSafetensors(readFileSync(join(folder, 'model.safetensors')), folder)
        const expected = read(golden(dtype))
        const actual = read(output)
        assert.deepEqual(actual.metadata, expected.metadata)
        const sorted = (tensors: Map<string, StoredTensor>) =>
          [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))
        assert.deepEqual(sorted(actual.tensors), sorted(expected.tensors))
      }
    })

    it('says what the ecosystem needs to know of config, generation and tokenizer', async () => {
      const output = await exportIt(trained, { format: 'huggingface' })
      const json = (name: string) =>
        JSON.parse(readFileSync(join(output, name), 'utf8')) as Record<string, unknown>
      assert.deepEqual(readdirSync(output).sort(), [
        'config.json',
        'generation_config.json',
        'model.safetensors',
        'tokenizer.json',
        'tokenizer_config.json',
      ])
      const { architectures, is_encoder_decoder, model_type, num_decoder_layers } = json('config.json')
      assert.deepEqual(
        [architectures, is_encoder_decoder, model_type, num_decoder_layers],
        [['T5ForConditionalGeneration'], true, 't5', 12],
      )
      const special = { decoder_start_token_id: 0, eos_token_id: 1, pad_token_id: 0 }
      assert.deepEqual(json('generation_config.json'), special)
      const { pad_token, eos_token } = json('tokenizer_config.json')
      const { idToPiece } = openTokenizer(json('tokenizer.json'), 'exported')
      assert.deepEqual([pad_token, eos_token], [idToPiece(0), idToPiece(1)])
    })
  })

  describe('for tfjs', () => {
    before(() => chooseBackend({ backend: 'wasm' }))

    it("loads from disk as a LayersModel with the reference's logits at both exits", async () => {
      registerLayers()
      for (const name of ['v10', 'v11', 'mt5', 'asymmetric', 'bfloat16']) {
        const { model: checkpoint, batches, expected } = readParityCase(name)
        const output = await exportIt(golden(name), { format: 'tfjs' })
        const model = await tf.loadLayersModel(fromTfjsFile(join(output, 'model.json')))
        for (const { name: batch, input_ids: inputs, decoder_input_ids: targets } of batches) {
          const exits = tf.tidy(() => {
            const tokens = [inputs, targets].map((rows) => tf.tensor2d(rows, undefined, 'int32'))
            return (model.predict(tokens) as tf.Tensor[]).map((logits) => logits.dataSync())
          })
          const { shallowLayers } = checkpoint.config
          for (const [i, tensor] of [`shallow_logits.${shallowLayers}`, 'logits'].entries()) {
            assertClose(
              exits[i],
              expected.get(`${batch}.${tensor}`)!.data,
              1e-4,
              `${name} ${batch} ${tensor}`,
            )
          }
        }
        model.weights.forEach((weight) => weight.dispose())
      }
    })

    it('loads over HTTP in a program of its own, also in float16', async () => {
      const { batches, expected } = readParityCase('v11')
      const [{ name: batch, input_ids: inputs, decoder_input_ids: targets }] = batches
      for (const [dtype, bound] of [
        ['float32', 1e-4],
        // Every weight is rounded by up to 2^-11, in three layers each of random weights.
        ['float16', 0.05],
      ] as const) {
        const output = await exportIt(golden('v11'), { format: 'tfjs', dtype })
        const server = createServer((request, response) => {
          createReadStream(join(output, request.url!.slice(1))).pipe(response)
        })
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.json`
        const words = ['--import', 'tsx', CHILD, url, JSON.stringify(inputs), JSON.stringify(targets)]
        const { stdout } = await run(process.execPath, words, { maxBuffer: 1e8 })
        server.close()
        const [, deep] = JSON.parse(stdout) as number[][]
        assertClose(deep, expected.get(`${batch}.logits`)!.data, bound, dtype)
      }
    })

    it('keeps its weights in shards of 4 MiB, and halves them in float16', async () => {
      const sizes = async (dtype: string) => {
        const output = await exportIt(trained, { format: 'tfjs', dtype })
        assert.ok(existsSync(join(output, 'tokenizer.json')))
        return readdirSync(output)
          .filter((name) => name.endsWith('.bin'))
          .map((name) => statSync(join(output, name)).size)
      }
      const [full, half] = [await sizes('float32'), await sizes('float16')]
      const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0)
      assert.equal(sum(full), 2 * sum(half))
      assert.ok([...full, ...half].every((size) => size <= 4 * 2 ** 20) && full.length > 1)
    })

    it('frees all that it took', async () => {
      const before = tf.memory().numTensors
      await exportIt(golden('v10'), { format: 'tfjs' })
      assert.equal(tf.memory().numTensors, before)
    })
  })

  it('names the weight that float16 cannot hold, and leaves nothing behind', async () => {
    const { config, weights } = await readCheckpointFolder(golden('v10'))
    const name = 'decoder.1.feedForward.output'
    const { shape, data } = weights.get(name)!
    const folder = temporary('large')
    await writeCheckpointFolder(folder, {
      config,
      weights: new Map(weights).set(name, { shape, data: data.with(5, 1e5) }),
    })
    for (const [format, pattern] of [
      ['tfjs', /decoder\.1\/feedForward\.output holds 100000/],
      ['huggingface', /"decoder\.block\.1\.layer\.2\.DenseReluDense\.wo\.weight"/],
    ] as const) {
      const output = temporary('export')
      const options = exportOptionsSchema.parse({ checkpoint: folder, format, output, dtype: 'float16' })
      const expected = { code: 'checkpoint.float16-overflow', message: pattern }
      await assert.rejects(exportCheckpoint(options), expected)
      assert.ok(!existsSync(output))
    }
  })

  it('overwrites an export only when asked, and never another folder', async () => {
    const output = await exportIt(golden('v10'), { format: 'tfjs' })
    const again = (more: Record<string, unknown>) => exportIt(golden('v11'), { output, ...more })
    await assert.rejects(again({ format: 'tfjs' }), { code: 'checkpoint.exists' })
    await assert.rejects(again({ format: 'huggingface', overwrite: true }), {
      code: 'checkpoint.not-a-checkpoint',
    })
    await again({ format: 'tfjs', overwrite: true })
    const other = temporary('other')
    mkdirSync(other, { recursive: true })
    writeFileSync(join(other, 'thesis.tex'), 'x')
    await assert.rejects(again({ format: 'tfjs', output: other, overwrite: true }), {
      code: 'checkpoint.not-a-checkpoint',
    })
    assert.deepEqual(readdirSync(other), ['thesis.tex'])
  })
})
