// Damage at scale, seeded: 100,000 safetensors files against the format's rules, in bounded memory and time; and config.json,
// which is refused with a code or read for what it says.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { fromCheckpointFiles } from '../../src/checkpoint/index.js'
import type { Checkpoint } from '../../src/checkpoint/index.js'
import { ShallowDeepError } from '../../src/errors.js'
import { Random } from '../../src/random.js'
import type { FuzzReport } from './fuzz.child.js'
import { mutateJson } from './mutate.js'

const run = promisify(execFile)
const CHILD = fileURLToPath(new URL('./fuzz.child.ts', import.meta.url))
const GOLDEN = new URL('../golden/t5-parity/', import.meta.url)

async function fuzz(seed: number, count: number): Promise<FuzzReport> {
  // A small nursery, so that what counts is what is needed and not when the collector finds time.
  const words = ['--max-semi-space-size=2', '--import', 'tsx', CHILD, `${seed}`, `${count}`]
  const { stdout } = await run(process.execPath, words)
  return JSON.parse(stdout) as FuzzReport
}

describe('a damaged safetensors file', () => {
  it('is refused with a code or read to the byte, in 100,000 mutants, 64 MB and no time', async () => {
    const { outcomes, grownBytes, slowestMs } = await fuzz(20_310, 100_000)
    // The mutants must reach every kind of outcome, or this test tests little.
    const expected = [
      'checkpoint.bad-header',
      'checkpoint.bad-offsets',
      'checkpoint.bad-shape',
      'checkpoint.duplicate-name',
      'checkpoint.truncated',
      'checkpoint.unsafe-integer',
      'checkpoint.unsupported-dtype',
      'read',
    ]
    assert.deepEqual(Object.keys(outcomes).sort(), expected)
    for (const [outcome, count] of Object.entries(outcomes)) assert.ok(count >= 10, `${outcome}: ${count}`)
    assert.ok(outcomes['read'] >= 5_000, `${outcomes['read']} read`)
    assert.ok(grownBytes < 64 * 2 ** 20, `${grownBytes} bytes more`)
    // A file of half a kilobyte takes less than a millisecond, but for compiling and collecting.
    assert.ok(slowestMs < 200, `${slowestMs} ms`)
  }).timeout(300_000)
})

/** What a config.json says, key by key, beside what was made of it. */
function assertReads(json: Record<string, unknown>, { config }: Checkpoint, what: string): void {
  const claims: [string, unknown][] = [
    ['vocab_size', config.vocabSize],
    ['d_model', config.dModel],
    ['num_heads', config.numHeads],
    ['d_kv', config.dKv],
    ['d_ff', config.dFf],
    ['num_layers', config.encoderLayers],
    ['num_decoder_layers', config.decoderLayers],
    ['feed_forward_proj', config.feedForward],
    ['relative_attention_num_buckets', config.relativeBuckets],
    ['relative_attention_max_distance', config.relativeMaxDistance],
    ['layer_norm_epsilon', config.layerNormEpsilon],
    ['dropout_rate', config.dropout],
    ['pad_token_id', config.padId],
    ['eos_token_id', config.eosId],
    ['decoder_start_token_id', config.decoderStartId],
    ['shallow_layers', config.shallowLayers],
  ]
  for (const [key, value] of claims) if (json[key] != null) assert.equal(value, json[key], `${key}: ${what}`)
}

describe('a damaged config.json', () => {
  for (const name of ['v10', 'v11']) {
    it(`of ${name} is refused with a code or read for what it says, in 10,000 mutants`, () => {
      const random = new Random(20_311)
      const weights = readFileSync(new URL(`${name}/model.safetensors`, GOLDEN))
      const originals = ['config.json', 'config.v4.json'].map((file) =>
        readFileSync(new URL(`${name}/${file}`, GOLDEN)),
      )
      const outcomes = { read: 0, refused: 0 }
      for (let i = 0; i < 10_000; i++) {
        const bytes = mutateJson(originals[i % 2], random)
        const what = `file ${i}: ${Buffer.from(bytes).toString('base64')}`
        const files = new Map([
          ['config.json', bytes],
          ['model.safetensors', weights],
        ])
        try {
          const checkpoint = fromCheckpointFiles(files, 'mutant')
          assertReads(JSON.parse(Buffer.from(bytes).toString()), checkpoint, what)
          outcomes.read++
        } catch (error) {
          if (!(error instanceof ShallowDeepError)) throw new Error(what, { cause: error })
          assert.match(error.code, /^(checkpoint|config)\./, what)
          assert.doesNotMatch(error.message, /\n/, what)
          outcomes.refused++
        }
      }
      assert.ok(outcomes.read > 1000 && outcomes.refused > 1000, JSON.stringify(outcomes))
    }).timeout(120_000)
  }
})
