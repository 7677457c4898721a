// What 8 bits on wasm change on a trained checkpoint: hardly a choice. Unlike ONNX Runtime's they are exact in what policies
// promise: positions come out together as one by one, and rows beside others as alone.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readCheckpointFolder } from '../../../../src/checkpoint/index.node.js'
import { decodeAll, free, full, lossless, type DecoderEngine } from '../../../../src/decoding/index.js'
import { encodeText } from '../../../../src/data/index.js'
import { chooseBackend } from '../../../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine, type TfjsEngineOptions } from '../../../../src/engines/tfjs/index.js'
import { openTokenizer } from '../../../../src/tokenizer/index.js'
import { readParityModel } from '../../../golden/parity.js'

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url))

describe('an engine in 8 bits on wasm, on a trained checkpoint', () => {
  let sources: readonly ArrayLike<number>[]
  let model: TfjsEngineOptions
  let engine: DecoderEngine
  const outputs = async (options: Partial<TfjsEngineOptions>) => {
    const engine = createTfjsEngine({ ...model, ...options })
    const results = await decodeAll(engine, sources, { policy: full(), maxNewTokens: 64 })
    engine.dispose()
    return results.map(({ tokens }) => tokens.join(' '))
  }
  before(async () => {
    await chooseBackend({ backend: 'wasm' })
    const { tokenizerJson, ...checkpoint } = await readCheckpointFolder(
      `${ROOT}checkpoints/translation-de-en`,
    )
    model = checkpoint
    const tokenizer = openTokenizer(tokenizerJson, 'tokenizer.json')
    const lines = readFileSync(`${ROOT}datasets/translation_de_en/test.csv`, 'utf8').split('\n').slice(1, 61)
    sources = lines.map((line) => encodeText(tokenizer, line.split(',')[0], 64).ids)
    engine = createTfjsEngine({ ...model, dtype: 'int8' })
  })
  after(() => engine.dispose())

  it('says so, and promises no less than float32', () => {
    assert.deepEqual([engine.info.dtype, engine.info.isApproximate], ['int8', undefined])
  })

  // Measured: 58 of 60.
  it('emits what float32 emits for nine sentences of ten', async () => {
    const [exact, own] = [await outputs({}), await outputs({ dtype: 'int8' })]
    const numSame = own.filter((tokens, i) => tokens === exact[i]).length
    assert.ok(numSame >= 54, `${numSame}`)
    assert.notDeepEqual(own, exact)
  }).timeout(60_000)

  it('with everything kept in float32 emits what float32 emits', async () => {
    const keepFloat = ['head', 'encoder', 'attention', 'feed-forward'] as const
    assert.deepEqual(await outputs({ dtype: 'int8', keepFloat }), await outputs({}))
  }).timeout(60_000)

  it('emits under lossless what it emits under full, for every sentence', async () => {
    const plain = await decodeAll(engine, sources, { policy: full(), maxNewTokens: 64 })
    const verified = await decodeAll(engine, sources, { policy: lossless(0.5), maxNewTokens: 64 })
    assert.ok(verified.some(({ exits }) => exits.includes('shallow')))
    for (const [i, { tokens }] of verified.entries()) assert.deepEqual(tokens, plain[i].tokens)
  }).timeout(60_000)

  it('rows of a batch go to the last bit as each goes alone', async () => {
    for (const policy of [full(), free(0.3), lossless(0.6)]) {
      const together = await decodeAll(engine, sources.slice(0, 10), { policy, batchSize: 4 })
      assert.deepEqual(together, await decodeAll(engine, sources.slice(0, 10), { policy }), policy.name)
    }
  }).timeout(60_000)

  it('is refused where the backend, or the model, has no kernels for it, and in 4 bits', async () => {
    for (const [options, pattern] of [
      [{ ...model, dtype: 'q4' }, /in int8; asked for was q4/],
      [
        { ...readParityModel('mt5', 1), dtype: 'int8' },
        /on backend wasm in float32 only for this model; asked for was int8/,
      ],
    ] as const) {
      assert.throws(() => createTfjsEngine(options), { code: 'engine.dtype-unsupported', message: pattern })
    }
    await chooseBackend({ backend: 'cpu' })
    try {
      assert.throws(() => createTfjsEngine({ ...model, dtype: 'int8' }), {
        code: 'engine.dtype-unsupported',
        message: /on backend cpu in float32 only/,
      })
    } finally {
      await chooseBackend({ backend: 'wasm' })
    }
  })
})
