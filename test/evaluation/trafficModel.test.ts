// The model of memory traffic: against the sizes of real weights, of real blocks of few bits, and formulas written out by hand.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ENGINE_DTYPES, parseModelConfig, transposeWeight, type ModelConfig } from '../../src/config/index.js'
import {
  boundAtExits,
  decodingBound,
  encoderTraffic,
  exitTraffic,
  matrixBytes,
  segmentTraffic,
  type PassSize,
} from '../../src/evaluation/index.js'
import { initialWeights } from '../../src/model/index.js'
import { quantiseBlocks } from '../../src/onnx/quantise.js'

const NOTHING: PassSize = { sourceLength: 0, contextLength: 0, positions: 0 }

const configs: fc.Arbitrary<ModelConfig> = fc
  .record({
    vocabSize: fc.integer({ min: 2, max: 90 }),
    dModel: fc.integer({ min: 1, max: 70 }),
    numHeads: fc.integer({ min: 1, max: 4 }),
    dKv: fc.integer({ min: 1, max: 20 }),
    dFf: fc.integer({ min: 1, max: 80 }),
    encoderLayers: fc.integer({ min: 1, max: 3 }),
    decoderLayers: fc.integer({ min: 2, max: 5 }),
    feedForward: fc.constantFrom('relu' as const, 'gated-gelu' as const),
    tieEmbeddings: fc.boolean(),
    confidenceHead: fc.boolean(),
  })
  .map((shape) => parseModelConfig({ ...shape, shallowLayers: 1 }, 'test'))

const sizes: fc.Arbitrary<Required<PassSize>> = fc.record({
  sourceLength: fc.integer({ min: 1, max: 50 }),
  contextLength: fc.integer({ min: 0, max: 50 }),
  positions: fc.integer({ min: 1, max: 9 }),
  rows: fc.integer({ min: 1, max: 5 }),
})

/** T5-small: the numbers below were worked out from its published shape. */
const small = parseModelConfig(
  {
    ...{ vocabSize: 32128, dModel: 512, numHeads: 8, dKv: 64, dFf: 2048 },
    ...{ encoderLayers: 6, decoderLayers: 6, shallowLayers: 2 },
  },
  'test',
)

describe('memory traffic', () => {
  it('reads every weight of a model once: encoder, each layer and an exit add up to what is stored', () => {
    fc.assert(
      fc.property(configs, (config) => {
        const model = { config, dtype: 'float32' } as const
        const layers = Array.from({ length: config.decoderLayers }, (_, i) =>
          segmentTraffic(model, { from: i, to: i + 1 }, NOTHING),
        )
        const parts = [encoderTraffic(model, 0), ...layers, exitTraffic(model)]
        const counted = parts.reduce((sum, { bytes }) => sum + bytes, 0)
        const weights = initialWeights(config, 1)
        let stored = 0
        for (const { data } of weights.values()) stored += data.byteLength
        // Of an untied table a token reads one row only.
        const table = config.tieEmbeddings ? 0 : weights.get('embedding')!.data.byteLength
        assert.equal(counted, stored - table)
      }),
      { numRuns: 40 },
    )
  })

  it('in few bits is the size of the blocks that the engine multiplies with', () => {
    const config = parseModelConfig(
      {
        ...{ vocabSize: 70, dModel: 40, numHeads: 2, dKv: 8, dFf: 65, encoderLayers: 1 },
        ...{ decoderLayers: 2, shallowLayers: 1 },
      },
      'test',
    )
    for (const [dtype, bits] of [['int8', 8] as const, ['q4', 4] as const]) {
      let [layer, exit] = [0, 0]
      for (const [name, weight] of initialWeights(config, 1)) {
        const isMatrix = weight.shape.length === 2 && !name.endsWith('relativeBias')
        const matrix = name === 'embedding' ? transposeWeight(weight) : weight
        const blocks = isMatrix ? quantiseBlocks(matrix, bits) : undefined
        const bytes = blocks ? blocks.packed.byteLength + blocks.scales.byteLength : weight.data.byteLength
        if (blocks) assert.equal(matrixBytes(matrix.shape, { dtype }), bytes)
        if (name === 'embedding' || name === 'decoder.finalNorm') exit += bytes
        if (name.startsWith('decoder.1.') && !/crossAttention\.(key|value)/.test(name)) layer += bytes
      }
      assert.equal(matrixBytes([40, 24], { dtype, scales: 'columns' }), 24 * ((40 * bits) / 8 + 4))
      assert.equal(exitTraffic({ config, dtype }).bytes, exit)
      assert.equal(segmentTraffic({ config, dtype }, { from: 1, to: 2 }, NOTHING).bytes, layer)
    }
  })

  it('of segments adds up to that of the decoder, wherever it is cut', () => {
    fc.assert(
      fc.property(configs, sizes, fc.constantFrom(...ENGINE_DTYPES), fc.nat(), (config, size, dtype, at) => {
        const [L, cut] = [config.decoderLayers, 1 + (at % (config.decoderLayers - 1))]
        const traffic = (from: number, to: number) => segmentTraffic({ config, dtype }, { from, to }, size)
        const [all, below, above] = [traffic(0, L), traffic(0, cut), traffic(cut, L)]
        assert.equal(below.bytes + above.bytes, all.bytes)
        assert.equal(below.flops + above.flops, all.flops)
      }),
    )
  })

  it('of several positions in one pass computes what they compute alone, and reads less', () => {
    fc.assert(
      fc.property(configs, sizes, fc.constantFrom(...ENGINE_DTYPES), (config, size, dtype) => {
        const whole = { from: 0, to: config.decoderLayers }
        const together = segmentTraffic({ config, dtype }, whole, size)
        let [flops, bytes] = [0, 0]
        for (let i = 0; i < size.positions; i++) {
          const one = { ...size, positions: 1, contextLength: size.contextLength + i }
          const alone = segmentTraffic({ config, dtype }, whole, one)
          flops += alone.flops
          bytes += alone.bytes
        }
        assert.ok(Math.abs(together.flops / flops - 1) < 1e-12)
        if (size.positions > 1) assert.ok(together.bytes < bytes)
        else assert.equal(together.bytes, bytes)
      }),
    )
  })

  it('of T5-small is as worked out by hand', () => {
    const model = { config: small, dtype: 'float32' } as const
    const size = { sourceLength: 32, contextLength: 10 }
    // A layer: q, k, v, o, cross q and o of 512 x 512, feed-forward 2 x 512 x 2048, three norms; caches of 43 positions.
    const matrices = 6 * 512 * 512 + 2 * 512 * 2048
    const layer = segmentTraffic(model, { from: 3, to: 4 }, size)
    assert.equal(layer.bytes, 4 * (matrices + 3 * 512 + 2 * 512 * 43))
    assert.equal(layer.flops, 2 * matrices + 4 * 512 * 43)
    assert.deepEqual(exitTraffic(model, 3), { bytes: 4 * (512 * 32128 + 512), flops: 3 * 2 * 512 * 32128 })
    // Six encoder layers, the keys and values of six decoder layers, two norms a layer and one, a position bias.
    const encoder = 6 * (4 * 512 * 512 + 2 * 512 * 2048) + 6 * 2 * 512 * 512
    assert.deepEqual(encoderTraffic(model, 32), {
      bytes: 4 * (encoder + 13 * 512 + 32 * 8 + 12 * 512 * 32 + 32 * 512),
      flops: 2 * encoder * 32 + 4 * 6 * 512 * 32 * 32,
    })
    assert.equal(
      matrixBytes([512, 2048], { dtype: 'q4' }) / matrixBytes([512, 2048], { dtype: 'float32' }),
      0.625 / 4,
    )
  })
})

describe('the bound by memory bandwidth', () => {
  const setting = { config: small, dtype: 'float32', sourceLength: 32, numTokens: 64 } as const
  const at10 = { ...setting, gigabytesPerSecond: 10 }

  it('of full decoding is the mean over its tokens of bytes over bandwidth', () => {
    let bytes = 0
    for (let contextLength = 0; contextLength < 64; contextLength++) {
      bytes += segmentTraffic(setting, { from: 0, to: 6 }, { sourceLength: 32, contextLength }).bytes
      bytes += exitTraffic(setting).bytes
    }
    const { fullMs } = decodingBound(at10)
    assert.ok(Math.abs(fullMs - bytes / 64 / 10e6) < 1e-9)
    // DESIGN: T5-small reads about 154 MB a token, caches apart.
    assert.ok(fullMs > 15.4 && fullMs < 16.5)
    assert.ok(Math.abs(decodingBound({ ...setting, gigabytesPerSecond: 20 }).fullMs - fullMs / 2) < 1e-9)
  })

  it('with exits lies between that of leaving always and full decoding with a second exit', () => {
    const { fullMs, staticMs, costs } = decodingBound(at10)
    const all = boundAtExits(at10, { exitShare: 1 })
    const none = boundAtExits(at10, { exitShare: 0 })
    assert.equal(all, staticMs)
    assert.ok(Math.abs(none - (costs.shallowMs + costs.deep[0].ms)) < 1e-9)
    assert.ok(Math.abs(none - fullMs - exitTraffic(setting).bytes / 10e6) < 1e-9)
    let before = none
    for (const share of [0.25, 0.5, 0.75, 0.9, 1]) {
      const bound = boundAtExits(at10, { exitShare: share })
      assert.ok(bound < before && bound >= staticMs)
      // What is verified is flushed at the end too, and what falls is decoded again.
      const [kept, falling] = [1, 0.8].map((agreement) => boundAtExits(at10, { exitShare: share, agreement }))
      assert.ok(bound < kept && kept < falling)
      before = bound
    }
  })

  it('of a mean number of tokens is near that of the whole numbers beside it', () => {
    for (const agreement of [undefined, 0.9]) {
      const [mean, whole] = [9.7, 10].map((numTokens) =>
        boundAtExits({ ...at10, numTokens }, { exitShare: 0.7, agreement }),
      )
      assert.ok(Math.abs(mean / whole - 1) < 1e-3)
    }
  })

  it('of rows decoded together shares the weights and nothing else', () => {
    const [one, eight] = [1, 8].map((rows) => decodingBound(at10, rows).fullMs)
    const weights =
      (exitTraffic(setting).bytes + segmentTraffic(setting, { from: 0, to: 6 }, NOTHING).bytes) / 10e6
    assert.ok(Math.abs(eight - (weights / 8 + one - weights)) < 1e-9)
  })
})
