// The exported folder decodes by what its README says of the graphs alone: a greedy loop of one's own over ONNX Runtime
// emits what the engine emits.
import assert from 'node:assert/strict'
import * as ort from 'onnxruntime-node'
import type { FileContent } from '../../src/checkpoint/index.js'
import { decodeOne, full } from '../../src/decoding/index.js'
import { toOnnxFiles } from '../../src/pipeline/index.js'
import { makeOnnxEngine } from '../engines/onnx/onnxEngine.js'
import { readGoldenJson, readParityModel } from '../golden/parity.js'

type Tensors = Record<string, ort.Tensor>

function bytesOf(content: FileContent | undefined): Uint8Array {
  assert.ok(content !== undefined && typeof content !== 'string')
  return content instanceof Uint8Array ? content : Buffer.concat([...content])
}

describe('a folder of ONNX graphs', () => {
  const model = readParityModel('free-v11', 2)
  const { config } = model
  const [source] = (readGoldenJson('free-v11/free.json') as { readonly prompts: number[][] }).prompts

  for (const dtype of ['float32', 'q4'] as const) {
    it(`decodes by itself as the engine does, in ${dtype}`, async () => {
      const files = toOnnxFiles(model, { dtype })
      const names = ['embedding', 'encoder', 'decoder-1-2', 'decoder-3-5', 'exit'].map(
        (name) => `${name}.onnx`,
      )
      assert.deepEqual([...files.keys()].sort(), [...names, 'README.md', 'config.json'].sort())
      const [embedding, encoder, shallow, deep, exit] = await Promise.all(
        names.map((name) => ort.InferenceSession.create(bytesOf(files.get(name)))),
      )
      const embed = async (tokens: readonly number[]) => {
        const ids = new ort.Tensor('int64', BigInt64Array.from(tokens, BigInt), [1, tokens.length])
        return (await embedding.run({ tokens: ids })).states
      }
      const mask = new ort.Tensor('int32', new Int32Array(source.length).fill(1), [1, source.length])
      const memory = await encoder.run({ states: await embed(source), mask })
      const room = 32
      const cacheOf = (part: string, layer: number) => {
        const width = Math.ceil(config.dKv / 8) * 8
        const data = new Float32Array(config.numHeads * room * width)
        return [
          `past_${part}.${layer}`,
          new ort.Tensor('float32', data, [1, config.numHeads, room, width]),
        ] as const
      }
      const layers = Array.from({ length: config.decoderLayers }, (_, i) => i)
      const caches: Tensors = Object.fromEntries(
        layers.flatMap((i) => [cacheOf('key', i), cacheOf('value', i)]),
      )
      /** Runs a segment over one new position, and keeps its caches. */
      const run = async (session: ort.InferenceSession, states: ort.Tensor, position: number) => {
        const feeds: Tensors = {
          ...memory,
          ...caches,
          states,
          mask,
          positions: new ort.Tensor('int32', Int32Array.of(position), [1, 1, 1]),
          last_position: new ort.Tensor('int32', Int32Array.of(position), [1]),
          total_length: new ort.Tensor('int32', Int32Array.of(position + 1), []),
        }
        const needed = Object.fromEntries(session.inputNames.map((name) => [name, feeds[name]]))
        const outputs = await session.run(needed)
        for (const [name, tensor] of Object.entries(outputs)) {
          if (name.startsWith('present')) caches[name.replace('present', 'past')] = tensor
        }
        return outputs.next_states
      }
      const tokens: number[] = []
      while (tokens.length < 12 && tokens.at(-1) !== config.eosId) {
        const position = tokens.length
        const states = await embed([tokens.at(-1) ?? config.decoderStartId])
        const after = await run(deep, await run(shallow, states, position), position)
        const last = new ort.Tensor('float32', after.data as Float32Array, [1, config.dModel])
        const { best, probabilities } = await exit.run({ states: last })
        const [top1, top2] = probabilities.data as Float32Array
        assert.ok(top1 >= top2 && top2 >= 0)
        tokens.push(Number((best.data as BigInt64Array)[0]))
      }
      const engine = await makeOnnxEngine(model, { dtype })
      const expected = await decodeOne(engine, source, { policy: full(), maxNewTokens: 12 })
      engine.dispose()
      assert.deepEqual(tokens, expected.tokens)
    })
  }

  it('says in its README what every graph takes and gives', async () => {
    const files = toOnnxFiles(model, {})
    const readme = files.get('README.md') as string
    for (const [name, content] of files) {
      if (!name.endsWith('.onnx')) continue
      assert.ok(readme.includes(`\`${name}\``), name)
      const session = await ort.InferenceSession.create(bytesOf(content))
      for (const value of [...session.inputNames, ...session.outputNames]) {
        assert.ok(readme.includes(`\`${value.replace(/\.\d+$/, '.i')}\``), `${name}: ${value}`)
      }
    }
  })
})
