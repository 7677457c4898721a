// The weights of a model: our names and shapes, and the Hugging Face T5 tensors they come from. Linear weights are kept
// as [in, out] here (what a matrix product takes without a transposed operand) and stored as [out, in] there.
import type { ModelConfig } from './model.js'

/** One weight on the host: float32 values in row-major order, in our layout. */
export interface HostWeight {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** All weights of a model by our names. */
export type HostWeights = ReadonlyMap<string, HostWeight>

/** The transposed matrix, in a new array. */
export function transposeWeight({ shape: [rows, columns], data }: HostWeight): HostWeight {
  const result = new Float32Array(data.length)
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) result[column * rows + row] = data[i]
  }
  return { shape: [columns, rows], data: result }
}

/** Matrices [N, A], [N, B], ... side by side, [N, A + B + ...]; a lone one as it is. */
export function joinColumns(parts: readonly HostWeight[]): HostWeight {
  if (parts.length === 1) return parts[0]
  const numRows = parts[0].shape[0]
  const width = parts.reduce((sum, { shape }) => sum + shape[1], 0)
  const data = new Float32Array(numRows * width)
  let to = 0
  for (let row = 0; row < numRows; row++) {
    for (const part of parts) {
      const columns = part.shape[1]
      data.set(part.data.subarray(row * columns, (row + 1) * columns), to)
      to += columns
    }
  }
  return { shape: [numRows, width], data }
}

/** One weight of a model. */
export interface WeightSpec {
  /** Our name; layers are counted from 0, for example `decoder.3.crossAttention.query`. */
  readonly name: string
  /** The tensor's name in a Hugging Face T5 file. */
  readonly huggingFaceName: string
  /** Shape in our layout. */
  readonly shape: readonly number[]
  /** Whether the file holds the transposed matrix. */
  readonly transposed: boolean
}

/**
 * All weights of a model in a fixed order: embedding, encoder from the bias up, decoder likewise, `head` where it is not
 * tied, and where there is one the confidence head. Sizes: V vocabulary, D model width, H heads, K head width, F feed-forward width.
 * `embedding` [V, D]; `head` [D, V]; `*.relativeBias` [buckets, H]; norms [D]; `query`, `key`, `value` [D, H*K] and
 * `output` [H*K, D] of attentions; `feedForward.input` (and `gate` where gated) [D, F], `feedForward.output` [F, D];
 * `confidenceHead.weight` [D, 2] and `.bias` [2]: logits of disagree and agree.
 */
export function weightSpecs(config: ModelConfig): readonly WeightSpec[] {
  const { vocabSize, dModel } = config
  const head = {
    name: 'head',
    huggingFaceName: 'lm_head.weight',
    shape: [dModel, vocabSize],
    transposed: true,
  }
  return [
    { name: 'embedding', huggingFaceName: 'shared.weight', shape: [vocabSize, dModel], transposed: false },
    ...stackSpecs('encoder', config),
    ...stackSpecs('decoder', config),
    ...(config.tieEmbeddings ? [] : [head]),
    ...(config.confidenceHead ? confidenceHeadSpecs(config) : []),
  ]
}

function stackSpecs(stack: 'encoder' | 'decoder', config: ModelConfig): WeightSpec[] {
  const { dModel, numHeads, relativeBuckets } = config
  const specs: WeightSpec[] = [
    {
      name: `${stack}.relativeBias`,
      huggingFaceName: `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`,
      shape: [relativeBuckets, numHeads],
      transposed: false,
    },
  ]
  const numLayers = stack === 'encoder' ? config.encoderLayers : config.decoderLayers
  for (let i = 0; i < numLayers; i++) {
    const ours = `${stack}.${i}`
    const theirs = `${stack}.block.${i}`
    if (stack === 'encoder') {
      specs.push(...attentionSpecs(`${ours}.attention`, `${theirs}.layer.0`, 'SelfAttention', config))
      specs.push(...feedForwardSpecs(`${ours}.feedForward`, `${theirs}.layer.1`, config))
    } else {
      specs.push(...attentionSpecs(`${ours}.selfAttention`, `${theirs}.layer.0`, 'SelfAttention', config))
      specs.push(...attentionSpecs(`${ours}.crossAttention`, `${theirs}.layer.1`, 'EncDecAttention', config))
      specs.push(...feedForwardSpecs(`${ours}.feedForward`, `${theirs}.layer.2`, config))
    }
  }
  specs.push(normSpec(`${stack}.finalNorm`, `${stack}.final_layer_norm.weight`, dModel))
  return specs
}

/** Names of our own: the reference implementation has no such head and leaves the tensors alone. */
function confidenceHeadSpecs({ dModel }: ModelConfig): WeightSpec[] {
  const spec = (part: string, shape: readonly number[]) => ({
    name: `confidenceHead.${part}`,
    huggingFaceName: `shallow_confidence_head.${part}`,
    shape,
    transposed: shape.length === 2,
  })
  return [spec('weight', [dModel, 2]), spec('bias', [2])]
}

function normSpec(name: string, huggingFaceName: string, dModel: number): WeightSpec {
  return { name, huggingFaceName, shape: [dModel], transposed: false }
}

function attentionSpecs(ours: string, theirs: string, kind: string, config: ModelConfig): WeightSpec[] {
  const { dModel } = config
  const inner = config.numHeads * config.dKv
  const linear = (name: string, letter: string, shape: readonly number[]): WeightSpec => ({
    name: `${ours}.${name}`,
    huggingFaceName: `${theirs}.${kind}.${letter}.weight`,
    shape,
    transposed: true,
  })
  return [
    normSpec(`${ours}.norm`, `${theirs}.layer_norm.weight`, dModel),
    linear('query', 'q', [dModel, inner]),
    linear('key', 'k', [dModel, inner]),
    linear('value', 'v', [dModel, inner]),
    linear('output', 'o', [inner, dModel]),
  ]
}

function feedForwardSpecs(ours: string, theirs: string, config: ModelConfig): WeightSpec[] {
  const { dModel, dFf } = config
  const linear = (name: string, theirName: string, shape: readonly number[]): WeightSpec => ({
    name: `${ours}.${name}`,
    huggingFaceName: `${theirs}.DenseReluDense.${theirName}.weight`,
    shape,
    transposed: true,
  })
  const inputs =
    config.feedForward === 'relu'
      ? [linear('input', 'wi', [dModel, dFf])]
      : [linear('gate', 'wi_0', [dModel, dFf]), linear('input', 'wi_1', [dModel, dFf])]
  return [
    normSpec(`${ours}.norm`, `${theirs}.layer_norm.weight`, dModel),
    ...inputs,
    linear('output', 'wo', [dFf, dModel]),
  ]
}
