// From the tensors of a Hugging Face T5 file to our weights and back: names, transposition, old files' copies, and
// whether the head is tied. Names and shapes themselves stand in config/weightNames.ts.
import { fromHuggingFace, toHuggingFace, weightSpecs } from '../config/index.js'
import type { HostWeight, HostWeights, ModelConfig } from '../config/index.js'
import { ShallowDeepError, suggestNearest } from '../errors.js'
import { quoteName } from './tensor.js'
import type { Tensor } from './tensor.js'

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

/**
 * Our weights from the tensors of a Hugging Face T5 file and its parsed config.json. Linear weights are transposed into
 * new arrays; the others share their data with `tensors`.
 * The head is its own where `lm_head.weight` is there and differs from the embedding. (Where it equals the embedding
 * and the config says `tie_word_embeddings: false`, it also stays its own: the outputs are the same, and a model that
 * was untied on purpose stays so.) `shallowLayers` overrides what the config says.
 * Throws `checkpoint.missing-tensor`, `checkpoint.unexpected-tensor`, `checkpoint.wrong-shape`, `checkpoint.wrong-dtype`,
 * `checkpoint.conflicting-tensors` (copies of the embedding that differ) and `config.*`.
 */
export function fromHuggingFaceTensors(
  tensors: ReadonlyMap<string, Tensor>,
  configJson: unknown,
  source: string,
  options: { readonly shallowLayers?: number } = {},
): ModelWeights {
  const found = settleEmbedding(tensors, source)
  const config = fromHuggingFace(configJson, `config.json of ${source}`, {
    hasHead: hasOwnHead(found, configJson),
    ...(options.shallowLayers === undefined ? {} : { shallowLayers: options.shallowLayers }),
  })
  if (config.tieEmbeddings) found.delete(HEAD)
  found.delete(UNUSED)
  checkLayerCount(config, found.size, source)
  const specs = weightSpecs(config)
  checkNames(
    specs.map((spec) => spec.huggingFaceName),
    found,
    source,
  )
  const weights = new Map<string, HostWeight>()
  for (const spec of specs) {
    const tensor = found.get(spec.huggingFaceName) as Tensor
    const expected = spec.transposed ? spec.shape.toReversed() : spec.shape
    const checked = checkTensor(spec.huggingFaceName, tensor, expected, source)
    weights.set(spec.name, spec.transposed ? transpose(checked) : checked)
  }
  return { config, weights }
}

/**
 * The inverse: tensors by Hugging Face names and the config.json that goes with them. Transposed weights are new arrays;
 * the others share their data. A tied head is left out, as the ecosystem's own files do.
 * Throws `checkpoint.missing-tensor`, `checkpoint.unexpected-tensor` and `checkpoint.wrong-shape` where `weights` are
 * not those of `config`.
 */
export function toHuggingFaceTensors({ config, weights }: ModelWeights): {
  readonly tensors: Map<string, HostWeight>
  readonly configJson: Record<string, unknown>
} {
  const specs = weightSpecs(config)
  const source = 'the weights'
  checkNames(
    specs.map((spec) => spec.name),
    weights,
    source,
  )
  const tensors = new Map<string, HostWeight>()
  for (const spec of specs) {
    const weight = checkTensor(spec.name, weights.get(spec.name) as Tensor, spec.shape, source)
    tensors.set(spec.huggingFaceName, spec.transposed ? transpose(weight) : weight)
  }
  return { tensors, configJson: toHuggingFace(config) }
}

/** A copy of the map in which the embedding goes by its one name and its copies, checked to be equal, are gone. */
function settleEmbedding(tensors: ReadonlyMap<string, Tensor>, source: string): Map<string, Tensor> {
  const found = new Map(tensors)
  for (const name of EMBEDDING_COPIES) {
    const copy = found.get(name)
    if (!copy) continue
    found.delete(name)
    const shared = found.get(SHARED)
    if (!shared) found.set(SHARED, copy)
    else if (!hasEqualValues(shared, copy)) {
      throw new ShallowDeepError({
        code: 'checkpoint.conflicting-tensors',
        message: `${source}: ${name} differs from the other copies of the embedding`,
        hint: 'T5 has one embedding for both stacks: keep the right one as shared.weight',
        details: { source, name },
      })
    }
  }
  return found
}

function hasOwnHead(found: ReadonlyMap<string, Tensor>, configJson: unknown): boolean {
  const head = found.get(HEAD)
  if (!head) return false
  const shared = found.get(SHARED)
  if (!shared || !hasEqualValues(head, shared)) return true
  return (configJson as { tie_word_embeddings?: unknown } | null)?.tie_word_embeddings === false
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

function checkTensor(name: string, tensor: Tensor, expected: readonly number[], source: string): HostWeight {
  const { shape, data } = tensor
  if (!(data instanceof Float32Array)) {
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
  return { shape, data }
}

/** The transposed matrix, in a new array. */
function transpose({ shape: [rows, columns], data }: HostWeight): HostWeight {
  const result = new Float32Array(data.length)
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) result[column * rows + row] = data[i]
  }
  return { shape: [columns, rows], data: result }
}
