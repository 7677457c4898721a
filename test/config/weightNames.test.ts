// The weights of a model against the names and shapes written out, as a wrong pair of names would survive a round trip.
import assert from 'node:assert/strict'
import { parseModelConfig, weightSpecs } from '../../src/config/index.js'

const BASE = {
  vocabSize: 11,
  dModel: 4,
  numHeads: 3,
  dKv: 2,
  dFf: 5,
  encoderLayers: 1,
  decoderLayers: 2,
  shallowLayers: 1,
  relativeBuckets: 8,
}

/** Name, Hugging Face name, shape, transposed. */
function table(options: object): (readonly [string, string, string, boolean])[] {
  const specs = weightSpecs(parseModelConfig({ ...BASE, ...options }, 'test'))
  return specs.map(({ name, huggingFaceName, shape, transposed }) => [
    name,
    huggingFaceName,
    shape.join('x'),
    transposed,
  ])
}

const ENCODER = 'encoder.block.0.layer'
const decoderLayer = (i: number) => {
  const theirs = `decoder.block.${i}.layer`
  return [
    [`decoder.${i}.selfAttention.norm`, `${theirs}.0.layer_norm.weight`, '4', false],
    [`decoder.${i}.selfAttention.query`, `${theirs}.0.SelfAttention.q.weight`, '4x6', true],
    [`decoder.${i}.selfAttention.key`, `${theirs}.0.SelfAttention.k.weight`, '4x6', true],
    [`decoder.${i}.selfAttention.value`, `${theirs}.0.SelfAttention.v.weight`, '4x6', true],
    [`decoder.${i}.selfAttention.output`, `${theirs}.0.SelfAttention.o.weight`, '6x4', true],
    [`decoder.${i}.crossAttention.norm`, `${theirs}.1.layer_norm.weight`, '4', false],
    [`decoder.${i}.crossAttention.query`, `${theirs}.1.EncDecAttention.q.weight`, '4x6', true],
    [`decoder.${i}.crossAttention.key`, `${theirs}.1.EncDecAttention.k.weight`, '4x6', true],
    [`decoder.${i}.crossAttention.value`, `${theirs}.1.EncDecAttention.v.weight`, '4x6', true],
    [`decoder.${i}.crossAttention.output`, `${theirs}.1.EncDecAttention.o.weight`, '6x4', true],
    [`decoder.${i}.feedForward.norm`, `${theirs}.2.layer_norm.weight`, '4', false],
    [`decoder.${i}.feedForward.input`, `${theirs}.2.DenseReluDense.wi.weight`, '4x5', true],
    [`decoder.${i}.feedForward.output`, `${theirs}.2.DenseReluDense.wo.weight`, '5x4', true],
  ]
}
const V10 = [
  ['embedding', 'shared.weight', '11x4', false],
  ['encoder.relativeBias', `${ENCODER}.0.SelfAttention.relative_attention_bias.weight`, '8x3', false],
  ['encoder.0.attention.norm', `${ENCODER}.0.layer_norm.weight`, '4', false],
  ['encoder.0.attention.query', `${ENCODER}.0.SelfAttention.q.weight`, '4x6', true],
  ['encoder.0.attention.key', `${ENCODER}.0.SelfAttention.k.weight`, '4x6', true],
  ['encoder.0.attention.value', `${ENCODER}.0.SelfAttention.v.weight`, '4x6', true],
  ['encoder.0.attention.output', `${ENCODER}.0.SelfAttention.o.weight`, '6x4', true],
  ['encoder.0.feedForward.norm', `${ENCODER}.1.layer_norm.weight`, '4', false],
  ['encoder.0.feedForward.input', `${ENCODER}.1.DenseReluDense.wi.weight`, '4x5', true],
  ['encoder.0.feedForward.output', `${ENCODER}.1.DenseReluDense.wo.weight`, '5x4', true],
  ['encoder.finalNorm', 'encoder.final_layer_norm.weight', '4', false],
  [
    'decoder.relativeBias',
    'decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight',
    '8x3',
    false,
  ],
  ...decoderLayer(0),
  ...decoderLayer(1),
  ['decoder.finalNorm', 'decoder.final_layer_norm.weight', '4', false],
]

describe('weightSpecs', () => {
  it('names all weights of a v1.0 model, in order', () => {
    assert.deepEqual(table({}), V10)
  })

  it('adds the gate of a gated feed-forward from wi_0 and takes its input from wi_1', () => {
    const gated = V10.flatMap((row) => {
      const [name, theirs, ...rest] = row as [string, string, string, boolean]
      if (!name.endsWith('feedForward.input')) return [row]
      const names: [string, string][] = [
        ['gate', 'wi_0'],
        ['input', 'wi_1'],
      ]
      return names.map(([ours, wi]) => [name.replace('input', ours), theirs.replace('wi', wi), ...rest])
    })
    assert.deepEqual(table({ feedForward: 'gated-gelu' }), gated)
  })

  it('adds the head, [D, V], exactly where it is not tied', () => {
    assert.deepEqual(table({ tieEmbeddings: false }), [...V10, ['head', 'lm_head.weight', '4x11', true]])
  })
})
