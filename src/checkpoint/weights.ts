// From the tensors of a Hugging Face T5 file to our weights and back: names, transposition, old files' copies, and
// whether the head is tied. Names and shapes themselves stand in config/weightNames.ts.
import { fromHuggingFace, toHuggingFace, transposeWeight, weightSpecs } from '../config/index.js'
import type { HostWeight, HostWeights, ModelConfig, WeightSpec } from '../config/index.js'
import { ShallowDeepError, suggestNearest } from '../errors.js'
import type { PendingTensor } from './safetensorsWriter.js'
import { dtypeOf, isFloat, quoteName } from './tensor.js'
import type { Tensor, TensorHeader } from './tensor.js'

/** A model's configuration and its weights by our names ({@link weightSpecs}). */
export interface ModelWeights {
  readonly config: ModelConfig
  readonly weights: HostWeights
}

const SHARED = 'shared.weight'
const HEAD = 'lm_head.weight'
/** Copies of the embedding that files written before the tied one was left out hold. */
const EMBEDDING_COPIES = ['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight']
/** Old files hold a bias that the cross-attention never used. */
const UNUSED = 'decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight'

/** A reading of weights: yields the name of each tensor that it needs, takes the tensor, returns the model. */
export type WeightReading = Generator<string, ModelWeights, Tensor>

/**
 * Our weights from a Hugging Face T5 file, tensor by tensor, so that no more than two of the file's need be in memory
 * beside the result. Names, types and shapes are checked before the first tensor is asked for. Linear weights are
 * transposed into new arrays; the others share their data with the tensors that were given.
 * The head is its own where `lm_head.weight` is there and differs from the embedding. (Where it equals the embedding
 * and the config says `tie_word_embeddings: false`, it also stays its own: the outputs are the same, and a model that
 * was untied on purpose stays so.) `shallowLayers` overrides what the config says.
 * Throws `checkpoint.missing-tensor`, `checkpoint.unexpected-tensor`, `checkpoint.wrong-shape`, `checkpoint.wrong-dtype`,
 * `checkpoint.conflicting-tensors` (copies of the embedding that differ) and `config.*`.
 */
export function* readWeights(
  headers: ReadonlyMap<string, TensorHeader>,
  configJson: unknown,
  source: string,
  options: { readonly shallowLayers?: number } = {},
): WeightReading {
  const { shallowLayers } = options
  const hasHead = headers.has(HEAD)
  const config = fromHuggingFace(configJson, `config.json of ${source}`, { hasHead, shallowLayers })
  const { found, copies } = settleEmbedding(headers)
  checkLayerCount(config, found.size, source)
  const specs = weightSpecs(config)
  checkNames(
    specs.map((spec) => spec.huggingFaceName),
    found,
    source,
  )
  for (const { huggingFaceName: name, shape, transposed } of specs) {
    checkHeader(name, found.get(name) as FoundTensor, transposed ? shape.toReversed() : shape, source)
  }
  const weights = new Map<string, HostWeight>()
  const keep = ({ name, transposed }: WeightSpec, tensor: Tensor) => {
    const weight = tensor as HostWeight
    weights.set(name, transposed ? transposeWeight(weight) : { shape: weight.shape, data: weight.data })
  }
  const [embeddingSpec, ...others] = specs
  const embedding = yield (found.get(SHARED) as FoundTensor).storedName
  keep(embeddingSpec, embedding)
  for (const name of copies) checkCopy(name, yield name, embedding, source)
  let tieEmbeddings = config.tieEmbeddings
  for (const spec of others) {
    const tensor = yield (found.get(spec.huggingFaceName) as FoundTensor).storedName
    if (spec.huggingFaceName === HEAD && isTied(tensor, embedding, configJson)) tieEmbeddings = true
    else keep(spec, tensor)
  }
  return { config: { ...config, tieEmbeddings }, weights }
}

/** {@link readWeights} from tensors in memory. */
export function fromHuggingFaceTensors(
  tensors: ReadonlyMap<string, Tensor>,
  configJson: unknown,
  source: string,
  options: { readonly shallowLayers?: number } = {},
): ModelWeights {
  const headers = new Map(
    [...tensors].map(([name, { shape, data }]) => [name, { shape, dtype: dtypeOf(data) }]),
  )
  const reading = readWeights(headers, configJson, source, options)
  let step = reading.next()
  while (!step.done) step = reading.next(tensors.get(step.value) as Tensor)
  return step.value
}

/**
 * The inverse: tensors by Hugging Face names, to be made one by one, and the config.json that goes with them. A tied head
 * is left out, as the ecosystem's own files do. Throws `checkpoint.missing-tensor`, `checkpoint.unexpected-tensor` and
 * `checkpoint.wrong-shape` where `weights` are not those of `config`.
 */
export function planHuggingFaceTensors({ config, weights }: ModelWeights): {
  readonly tensors: Map<string, PendingTensor>
  readonly configJson: Record<string, unknown>
} {
  const specs = weightSpecs(config)
  const source = 'the weights'
  checkNames(
    specs.map((spec) => spec.name),
    weights,
    source,
  )
  const tensors = new Map<string, PendingTensor>()
  for (const { name, huggingFaceName, shape, transposed } of specs) {
    const weight = weights.get(name) as HostWeight
    checkHeader(name, { shape: weight.shape, dtype: dtypeOf(weight.data) }, shape, source)
    tensors.set(huggingFaceName, {
      shape: transposed ? shape.toReversed() : shape,
      values: () => (transposed ? transposeWeight(weight) : weight).data,
    })
  }
  return { tensors, configJson: toHuggingFace(config) }
}

/** {@link planHuggingFaceTensors} with all values made. Those of weights that are not transposed share their data. */
export function toHuggingFaceTensors(model: ModelWeights): {
  readonly tensors: Map<string, HostWeight>
  readonly configJson: Record<string, unknown>
} {
  const { tensors, configJson } = planHuggingFaceTensors(model)
  const made = [...tensors].map(([name, { shape, values }]): [string, HostWeight] => [
    name,
    { shape, data: values() },
  ])
  return { tensors: new Map(made), configJson }
}

/** A tensor of a file under the name that the model knows. */
interface FoundTensor extends TensorHeader {
  readonly storedName: string
}

/** What is there, with the embedding under its one name, and the names of its other copies. */
function settleEmbedding(headers: ReadonlyMap<string, TensorHeader>): {
  readonly found: Map<string, FoundTensor>
  readonly copies: readonly string[]
} {
  const found = new Map([...headers].map(([name, header]) => [name, { ...header, storedName: name }]))
  found.delete(UNUSED)
  const copies = EMBEDDING_COPIES.filter((name) => found.has(name))
  if (!found.has(SHARED) && copies.length > 0) found.set(SHARED, found.get(copies.shift()!)!)
  for (const name of EMBEDDING_COPIES) found.delete(name)
  return { found, copies }
}

function checkCopy(name: string, copy: Tensor, embedding: Tensor, source: string): void {
  if (hasEqualValues(embedding, copy)) return
  throw new ShallowDeepError({
    code: 'checkpoint.conflicting-tensors',
    message: `${source}: ${name} differs from the other copies of the embedding`,
    hint: 'T5 has one embedding for both stacks: keep the right one as shared.weight',
    details: { source, name },
  })
}

function isTied(head: Tensor, embedding: Tensor, configJson: unknown): boolean {
  const isUntiedOnPurpose = (configJson as { tie_word_embeddings?: unknown }).tie_word_embeddings === false
  return !isUntiedOnPurpose && hasEqualValues(head, embedding)
}

function hasEqualValues(a: Tensor, b: Tensor): boolean {
  if (a.shape.length !== b.shape.length || a.shape.some((size, i) => size !== b.shape[i])) return false
  for (let i = 0; i < a.data.length; i++) {
    // Object.is on two NaNs is true: a copy of a damaged embedding is still a copy.
    if (a.data[i] !== b.data[i] && !Object.is(a.data[i], b.data[i])) return false
  }
  return true
}

/** Keeps a config that claims a billion layers from making a list of their weights. */
function checkLayerCount(
  { encoderLayers, decoderLayers }: ModelConfig,
  numTensors: number,
  source: string,
): void {
  if (encoderLayers + decoderLayers <= numTensors) return
  throw new ShallowDeepError({
    code: 'checkpoint.missing-tensor',
    message: `${source}: the config has ${encoderLayers} + ${decoderLayers} layers, the file only ${numTensors} tensors`,
    hint: 'config and weights belong to different models',
    details: { source, encoderLayers, decoderLayers, numTensors },
  })
}

function checkNames(expected: readonly string[], found: ReadonlyMap<string, unknown>, source: string): void {
  const known = new Set(expected)
  const unexpected = [...found.keys()].filter((name) => !known.has(name)).sort()
  const missing = expected.filter((name) => !found.has(name))
  if (missing.length > 0) {
    const near = nearestOf(missing[0], unexpected)
    throw new ShallowDeepError({
      code: 'checkpoint.missing-tensor',
      message:
        `${source}: ${listNames(missing)} ${missing.length === 1 ? 'is' : 'are'} missing` +
        (near === undefined ? '' : `; nearest present is ${quoteName(near)}`),
      hint: 'is it a T5 encoder-decoder checkpoint, and does its config belong to it?',
      details: { source, missing, unexpected, nearest: near ?? null },
    })
  }
  if (unexpected.length > 0) {
    throw new ShallowDeepError({
      code: 'checkpoint.unexpected-tensor',
      message: `${source}: ${listNames(unexpected)} ${unexpected.length === 1 ? 'has' : 'have'} no place in this model`,
      hint: 'does the config belong to these weights (number of layers, feed_forward_proj)?',
      details: { source, unexpected },
    })
  }
}

/** Bounded, as an edit distance to each of many long names takes a while. */
function nearestOf(name: string, names: readonly string[]): string | undefined {
  return suggestNearest(name, names.filter((other) => other.length < 200).slice(0, 1000))
}

function listNames(names: readonly string[]): string {
  const shown = names.slice(0, 5).map(quoteName).join(', ')
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown
}

function checkHeader(
  name: string,
  { shape, dtype }: TensorHeader,
  expected: readonly number[],
  source: string,
): void {
  if (!isFloat(dtype)) {
    throw new ShallowDeepError({
      code: 'checkpoint.wrong-dtype',
      message: `${source}: ${name} holds integers, expected floats`,
      hint: 'quantised checkpoints are not read: take the float one',
      details: { source, name },
    })
  }
  if (shape.length !== expected.length || shape.some((size, i) => size !== expected[i])) {
    throw new ShallowDeepError({
      code: 'checkpoint.wrong-shape',
      message: `${source}: ${name} is [${shape.join(', ')}], expected [${expected.join(', ')}] by the config`,
      hint: 'config and weights belong to different models',
      details: { source, name, shape, expected },
    })
  }
}
