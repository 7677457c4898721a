// What quantised matrices change on a trained checkpoint: hardly a choice in 8 bits, few in 4; and positions that go deep
// together choose what they choose alone.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readCheckpointFolder } from '../../../src/checkpoint/index.node.js'
import type { EngineDtype } from '../../../src/config/index.js'
import { decodeOne, full, lossless } from '../../../src/decoding/index.js'
import type { DecoderEngine } from '../../../src/decoding/index.js'
import { encodeText } from '../../../src/data/index.js'
import { openTokenizer } from '../../../src/tokenizer/index.js'
import { makeOnnxEngine } from './onnxEngine.js'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

describe('a quantised engine on a trained checkpoint', () => {
  const engines = new Map<EngineDtype, DecoderEngine>()
  let sources: readonly ArrayLike<number>[]
  /** What float32 emits. */
  const outputs: number[][] = []
  before(async () => {
    const { tokenizerJson, ...model } = await readCheckpointFolder(`${ROOT}checkpoints/translation-de-en`)
    for (const dtype of ['float32', 'int8', 'q4'] as const)
      engines.set(dtype, await makeOnnxEngine(model, { dtype }))
    const tokenizer = openTokenizer(tokenizerJson, 'tokenizer.json')
    const lines = readFileSync(`${ROOT}datasets/translation_de_en/test.csv`, 'utf8').split('\n').slice(1, 25)
    sources = lines.map((line) => encodeText(tokenizer, line.split(',')[0], 64).ids)
    for (const source of sources) {
      outputs.push([...(await decodeOne(engines.get('float32')!, source, { policy: full() })).tokens])
    }
  })
  after(() => engines.forEach((engine) => engine.dispose()))

  /** What an engine's deep exit chooses at each position of float32's outputs. */
  async function forced(engine: DecoderEngine): Promise<number[]> {
    const { decoderStartId, shallowLayers, decoderLayers } = engine.info
    const chosen: number[] = []
    for (const [i, source] of sources.entries()) {
      const encoded = await engine.encode([source])
      const session = encoded.open({ exits: [shallowLayers, decoderLayers] })
      for (const token of [decoderStartId, ...outputs[i].slice(0, -1)]) session.push(0, token)
      await session.run({ segment: 0, rows: [0] })
      const [choices] = await session.run({ segment: 1, rows: [0], exit: [] })
      chosen.push(...choices.map(({ token }) => token))
      session.dispose()
      encoded.dispose()
    }
    return chosen
  }

  // Measured on all 80 sentences: 100 % in 8 bits, 98 % in 4.
  for (const [dtype, least] of [
    ['int8', 0.99],
    ['q4', 0.95],
  ] as const) {
    it(`in ${dtype} chooses what float32 chooses at ${least * 100} % of the positions`, async () => {
      const wanted = outputs.flat()
      const chosen = await forced(engines.get(dtype)!)
      const numSame = chosen.filter((token, i) => token === wanted[i]).length
      assert.ok(numSame / wanted.length >= least, `${numSame} of ${wanted.length}`)
    }).timeout(60_000)

    it(`in ${dtype} emits under lossless what it emits under full, but for at most one sentence`, async () => {
      let numDifferent = 0
      for (const source of sources) {
        const [verified, plain] = [
          await decodeOne(engines.get(dtype)!, source, { policy: lossless(0.6) }),
          await decodeOne(engines.get(dtype)!, source, { policy: full() }),
        ]
        if (verified.tokens.join() !== plain.tokens.join()) numDifferent++
      }
      assert.ok(numDifferent <= 1, `${numDifferent}`)
    }).timeout(60_000)
  }
})
