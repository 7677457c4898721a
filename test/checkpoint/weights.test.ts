// From Hugging Face tensors to our weights and back, on the files of the reference implementation and on altered ones.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import {
  fromHuggingFaceTensors,
  readSafetensors,
  toHuggingFaceTensors,
  writeSafetensors,
} from '../../src/checkpoint/index.js'
import type { Tensor } from '../../src/checkpoint/index.js'
import { weightSpecs } from '../../src/config/index.js'
import { ShallowDeepError } from '../../src/errors.js'

const GOLDEN = new URL('../golden/t5-parity/', import.meta.url)

function load(folder: string, configFile = 'config.json') {
  const { tensors } = readSafetensors(readFileSync(new URL(`${folder}/model.safetensors`, GOLDEN)), folder)
  const configJson: unknown = JSON.parse(readFileSync(new URL(`${folder}/${configFile}`, GOLDEN), 'utf8'))
  return { tensors: tensors as Map<string, Tensor>, configJson, source: folder }
}

function convert({ tensors, configJson, source }: ReturnType<typeof load>, shallowLayers?: number) {
  return fromHuggingFaceTensors(
    tensors,
    configJson,
    source,
    shallowLayers === undefined ? {} : { shallowLayers },
  )
}

function assertRefused(
  files: ReturnType<typeof load>,
  code: string,
  check: (error: ShallowDeepError) => void = () => {},
) {
  assert.throws(
    () => convert(files),
    (error) => {
      assert.ok(error instanceof ShallowDeepError, String(error))
      assert.equal(error.code, code, error.message)
      assert.doesNotMatch(error.message, /\n/)
      check(error)
      return true
    },
  )
}

const FOLDERS = [
  'v10',
  'v10-old-file',
  'v11',
  'mt5',
  'free-v10',
  'free-v11',
  'asymmetric',
  'float16',
  'bfloat16',
  'long',
]
const UNTIED = new Set(['v11', 'mt5', 'free-v11', 'float16', 'long'])

describe('weights', () => {
  for (const folder of FOLDERS) {
    it(`of ${folder} go to the Hugging Face layout and back unchanged, through a file`, () => {
      const ours = convert(load(folder))
      assert.equal(ours.config.tieEmbeddings, !UNTIED.has(folder))
      assert.equal(ours.config.scaleLogits, !UNTIED.has(folder))
      const { tensors, configJson } = toHuggingFaceTensors(ours)
      const file = readSafetensors(writeSafetensors(tensors), 'written')
      const json: unknown = JSON.parse(JSON.stringify(configJson))
      assert.deepEqual(fromHuggingFaceTensors(file.tensors, json, 'written'), ours)
    })

    it(`of ${folder} keep every tensor that the reference wrote, bit for bit`, () => {
      const files = load(folder)
      const { tensors } = toHuggingFaceTensors(convert(files))
      for (const [name, { shape, data }] of tensors) {
        const original = files.tensors.get(name) ?? files.tensors.get('decoder.embed_tokens.weight')
        assert.deepEqual({ shape, data }, { shape: original?.shape, data: original?.data }, name)
      }
    })
  }

  it('have our names and shapes, linear ones as [in, out]', () => {
    const { config, weights } = convert(load('v11'), 2)
    assert.equal(config.shallowLayers, 2)
    assert.deepEqual(
      [...weights].map(([name, { shape }]) => [name, shape]),
      weightSpecs(config).map(({ name, shape }) => [name, shape]),
    )
    const shape = (name: string) => weights.get(name)?.shape
    assert.deepEqual(shape('embedding'), [120, 32])
    assert.deepEqual(shape('head'), [32, 120])
    assert.deepEqual(shape('decoder.relativeBias'), [32, 4])
    assert.deepEqual(shape('decoder.2.feedForward.gate'), [32, 48])
    assert.deepEqual(shape('decoder.2.feedForward.output'), [48, 32])
    const uneven = convert(load('v10')).weights
    assert.deepEqual(uneven.get('encoder.0.attention.query')?.shape, [32, 48])
    assert.deepEqual(uneven.get('decoder.1.crossAttention.output')?.shape, [48, 32])
    assert.equal(uneven.has('head'), false)
  })

  it('are transposed element by element', () => {
    const files = load('v10')
    const theirs = files.tensors.get('decoder.block.2.layer.1.EncDecAttention.q.weight') as Tensor
    const ours = convert(files).weights.get('decoder.2.crossAttention.query') as Tensor
    for (let out = 0; out < 48; out++) {
      for (let input = 0; input < 32; input++)
        assert.equal(ours.data[input * 48 + out], theirs.data[out * 32 + input])
    }
  })

  it('take wi_0 for the gate and wi_1 for the input', () => {
    const files = load('v11')
    const { weights } = convert(files)
    const pairs = [
      ['encoder.0.feedForward.gate', 'encoder.block.0.layer.1.DenseReluDense.wi_0.weight'],
      ['encoder.0.feedForward.input', 'encoder.block.0.layer.1.DenseReluDense.wi_1.weight'],
    ]
    for (const [ours, theirs] of pairs)
      assert.equal(weights.get(ours)?.data[1], files.tensors.get(theirs)?.data[32])
  })

  it('of an old file with copies and an unused bias are those of the new file', () => {
    const { weights, config } = convert(load('v10'))
    assert.deepEqual(convert(load('v10-old-file')), { weights, config })
  })

  it('of the transformers 4 layout of the config are the same', () => {
    for (const folder of FOLDERS.filter((name) => name !== 'v10-old-file')) {
      assert.deepEqual(convert(load(folder, 'config.v4.json')), convert(load(folder)), folder)
    }
  })

  it('have an embedding also where only a copy of it is there', () => {
    const files = load('v10-old-file')
    const expected = convert(files)
    files.tensors.delete('shared.weight')
    files.tensors.delete('encoder.embed_tokens.weight')
    assert.deepEqual(convert(files), expected)
  })

  it('have a tied head where lm_head equals the embedding, unless the config unties it on purpose', () => {
    const files = load('v11')
    files.tensors.set('lm_head.weight', files.tensors.get('shared.weight') as Tensor)
    assert.equal(convert(files).config.tieEmbeddings, true)
    files.configJson = { ...(files.configJson as object), tie_word_embeddings: false }
    const ours = convert(files)
    assert.equal(ours.config.tieEmbeddings, false)
    const { tensors, configJson } = toHuggingFaceTensors(ours)
    assert.deepEqual(fromHuggingFaceTensors(tensors, configJson, 'again'), ours)
  })

  it('are tied where lm_head is missing, whatever the config says', () => {
    const files = load('v11', 'config.v4.json')
    files.tensors.delete('lm_head.weight')
    assert.equal(convert(files).config.tieEmbeddings, true)
  })
})

describe('weights that do not fit', () => {
  it('name all missing tensors and the nearest one that is there', () => {
    const files = load('v10')
    const [name, other] = ['decoder.final_layer_norm.weight', 'encoder.block.1.layer.0.layer_norm.weight']
    files.tensors.set('decoder.finale_layer_norm.weight', files.tensors.get(name) as Tensor)
    files.tensors.delete(name)
    files.tensors.delete(other)
    assertRefused(files, 'checkpoint.missing-tensor', ({ details }) =>
      assert.deepEqual(new Set(details['missing'] as string[]), new Set([name, other])),
    )
    files.tensors.set(other, files.tensors.get('encoder.block.0.layer.0.layer_norm.weight') as Tensor)
    assertRefused(files, 'checkpoint.missing-tensor', ({ message }) =>
      assert.match(message, /decoder\.finale_layer_norm\.weight/),
    )
  })

  it('name unexpected tensors', () => {
    const files = load('v10')
    files.tensors.set('encoder.block.3.layer.0.layer_norm.weight', {
      shape: [32],
      data: new Float32Array(32),
    })
    files.tensors.set('classification.weight', { shape: [1], data: new Float32Array(1) })
    assertRefused(files, 'checkpoint.unexpected-tensor', ({ details }) =>
      assert.deepEqual(details['unexpected'], [
        'classification.weight',
        'encoder.block.3.layer.0.layer_norm.weight',
      ]),
    )
  })

  it('name the tensor of another shape and both shapes', () => {
    const files = load('v10')
    const name = 'decoder.block.0.layer.2.DenseReluDense.wi.weight'
    files.tensors.set(name, { shape: [32, 64], data: new Float32Array(2048) })
    assertRefused(files, 'checkpoint.wrong-shape', ({ message }) => {
      assert.ok(
        message.includes(name) && message.includes('[32, 64]') && message.includes('[64, 32]'),
        message,
      )
    })
    files.tensors.set(name, { shape: [2048], data: new Float32Array(2048) })
    assertRefused(files, 'checkpoint.wrong-shape')
  })

  it('name a head of another shape', () => {
    const files = load('v11')
    files.tensors.set('lm_head.weight', { shape: [119, 32], data: new Float32Array(119 * 32) })
    assertRefused(files, 'checkpoint.wrong-shape')
  })

  it('name integers where floats belong', () => {
    const files = load('v10')
    files.tensors.set('shared.weight', { shape: [96, 32], data: new Uint8Array(96 * 32) })
    assertRefused(files, 'checkpoint.wrong-dtype')
  })

  it('name copies of the embedding that differ', () => {
    const files = load('v10-old-file')
    const copy = files.tensors.get('encoder.embed_tokens.weight') as Tensor
    files.tensors.set('encoder.embed_tokens.weight', {
      shape: copy.shape,
      data: (copy.data as Float32Array).with(7, 1),
    })
    assertRefused(files, 'checkpoint.conflicting-tensors')
  })

  it('are refused in bounded time where the config claims a billion layers', () => {
    const files = load('v10')
    files.configJson = { ...(files.configJson as object), num_layers: 1e9 }
    assertRefused(files, 'checkpoint.missing-tensor')
  })

  it('are refused on the way out too', () => {
    const { config, weights } = convert(load('v10'))
    const fewer = new Map(weights)
    fewer.delete('decoder.finalNorm')
    assert.throws(() => toHuggingFaceTensors({ config, weights: fewer }), {
      code: 'checkpoint.missing-tensor',
    })
    const more = new Map(weights).set('head', { shape: [32, 96], data: new Float32Array(32 * 96) })
    assert.throws(() => toHuggingFaceTensors({ config, weights: more }), {
      code: 'checkpoint.unexpected-tensor',
    })
    const other = new Map(weights).set('decoder.finalNorm', { shape: [31], data: new Float32Array(31) })
    assert.throws(() => toHuggingFaceTensors({ config, weights: other }), { code: 'checkpoint.wrong-shape' })
  })
})
