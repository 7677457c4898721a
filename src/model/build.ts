// Builds the two views of one model over the same layers: the LayersModel with its two exits, and the states model that
// training reads. Weights go in and out by our names (config/weightNames.ts).
import * as tf from '@tensorflow/tfjs'
import {
  factorNames,
  type HostWeight,
  type HostWeights,
  type Lora,
  type ModelConfig,
  weightSpecs,
} from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import { mergeLora } from './lora.js'
import {
  DecoderBlock,
  EncoderBlock,
  FinalNorm,
  OutputHead,
  PaddingBias,
  registerLayers,
  StackBias,
  TokenEmbedding,
} from './layers.js'
import type { WeightedLayer } from './weightedLayer.js'

export type { HostWeight, HostWeights }

/** A shallow-deep T5 as tfjs sees it. The caller disposes it with `dispose()`. */
export interface ShallowDeepModel {
  readonly config: ModelConfig
  /** [encoderTokens [B, M], decoderTokens [B, T]] (int32) -> [shallowLogits, deepLogits], both [B, T, V]. */
  readonly layersModel: tf.LayersModel
  /** The same inputs -> [encoder states [B, M, D] (normed), decoder states after layers 1..L [B, T, D] (not normed)]. */
  readonly statesModel: tf.LayersModel
  /** The variables by our names, in the order of `weightSpecs`. */
  readonly variables: ReadonlyMap<string, tf.Variable>
  /** Factors of low-rank updates by our names (config/lora.ts); empty where there are none. */
  readonly factors: ReadonlyMap<string, tf.Variable>
  /** Copies to the host the weights of a plain model that computes the same: low-rank updates are merged. */
  readWeights(): Promise<Map<string, HostWeight>>
  /** Copies the low-rank updates to the host; undefined where there are none. */
  readLora(): Promise<Lora | undefined>
  dispose(): void
}

/**
 * Builds a model with the given weights and, where `lora` is given, with low-rank updates beside them; its own weights are
 * not trainable then.
 * Throws `model.missing-weight` or `model.wrong-shape`, naming the first weight at fault.
 */
export function buildModel(config: ModelConfig, weights: HostWeights, lora?: Lora): ShallowDeepModel {
  registerLayers()
  const { layersModel, statesModel, layers } = buildGraph(config)
  const variables = collectVariables(config, layers)
  for (const [name, variable] of variables) assignWeight(name, variable, weights)
  const factors = new Map(lora ? addUpdates(config, lora, layers) : [])
  if (lora) for (const variable of variables.values()) variable.trainable = false
  const readLora = async () => lora && { ...lora, factors: await readAll(factors) }
  return {
    config,
    layersModel,
    statesModel,
    variables,
    factors,
    async readWeights() {
      const own = await readAll(variables)
      const updates = await readLora()
      return updates ? mergeLora(own, updates) : own
    },
    readLora,
    // Not layersModel.dispose(), which leaves the variables of layers that are applied more than once.
    dispose: () => tf.dispose([...variables.values(), ...factors.values()]),
  }
}

async function readAll(variables: ReadonlyMap<string, tf.Variable>): Promise<Map<string, HostWeight>> {
  const copies = new Map<string, HostWeight>()
  for (const [name, variable] of variables) {
    copies.set(name, { shape: variable.shape, data: (await variable.data()) as Float32Array })
  }
  return copies
}

/** Hands each matrix's factors to its layer; returns all factors as variables by name. */
function addUpdates(
  config: ModelConfig,
  { rank, alpha, matrices, factors }: Lora,
  layers: readonly WeightedLayer[],
): [string, tf.Variable][] {
  const make = (name: string, shape: [number, number]) => {
    const variable = tf.tidy(() => tf.variable(tf.zeros<tf.Rank.R2>(shape)))
    assignWeight(name, variable, factors)
    return variable
  }
  return weightSpecs(config).flatMap(({ name, shape: [width, outWidth] }) => {
    if (!matrices.includes(name)) return []
    const names = factorNames(name)
    const [a, b] = [make(names.a, [width, rank]), make(names.b, [rank, outWidth])]
    const layer = layers.find((candidate) => name.startsWith(`${candidate.name}.`))!
    layer.addUpdate(name.slice(layer.name.length + 1), { a, b, scale: alpha / rank })
    return [
      [names.a, a],
      [names.b, b],
    ]
  })
}

function buildGraph(config: ModelConfig) {
  const { dModel, numHeads, dKv, dFf, dropout, layerNormEpsilon: epsilon, vocabSize } = config
  const gated = config.feedForward === 'gated-gelu'
  const logitScale = config.scaleLogits ? dModel ** -0.5 : 1
  const buckets = { numHeads, numBuckets: config.relativeBuckets, maxDistance: config.relativeMaxDistance }
  const block = { dModel, numHeads, dKv, dFf, gated, dropout, epsilon }
  const layers: WeightedLayer[] = []
  const track = <L extends WeightedLayer>(layer: L): L => {
    layers.push(layer)
    return layer
  }

  const embedding = track(new TokenEmbedding({ name: 'embedding', vocabSize, dModel, dropout, logitScale }))
  const encoderTokens = tf.input({ shape: [null], dtype: 'int32', name: 'encoderTokens' })
  const decoderTokens = tf.input({ shape: [null], dtype: 'int32', name: 'decoderTokens' })
  type Symbolic = tf.SymbolicTensor

  const encoderBias = track(
    new StackBias({ name: 'encoder.relativeBias', ...buckets, causal: false, padId: config.padId }),
  ).apply(encoderTokens) as Symbolic
  let hidden = embedding.apply(encoderTokens) as Symbolic
  for (let i = 0; i < config.encoderLayers; i++) {
    hidden = track(new EncoderBlock({ name: `encoder.${i}`, ...block })).apply([
      hidden,
      encoderBias,
    ]) as Symbolic
  }
  const encoderNorm = track(new FinalNorm({ name: 'encoder.finalNorm', dModel, dropout, epsilon }))
  const encoderStates = encoderNorm.apply(hidden) as Symbolic

  const memoryBias = new PaddingBias({ name: 'memoryBias', padId: config.padId }).apply(
    encoderTokens,
  ) as Symbolic
  const decoderBias = track(
    new StackBias({ name: 'decoder.relativeBias', ...buckets, causal: true, padId: config.padId }),
  ).apply(decoderTokens) as Symbolic
  const states: Symbolic[] = []
  hidden = embedding.apply(decoderTokens) as Symbolic
  for (let i = 0; i < config.decoderLayers; i++) {
    const layer = track(new DecoderBlock({ name: `decoder.${i}`, position: i + 1, ...block }))
    hidden = layer.apply([hidden, decoderBias, encoderStates, memoryBias]) as Symbolic
    states.push(hidden)
  }

  const decoderNorm = track(new FinalNorm({ name: 'decoder.finalNorm', dModel, dropout, epsilon }))
  const head = config.tieEmbeddings
    ? embedding
    : track(new OutputHead({ name: 'head', vocabSize, dModel, logitScale }))
  const exit = (state: Symbolic) => head.apply(decoderNorm.apply(state)) as Symbolic
  const inputs = [encoderTokens, decoderTokens]
  return {
    layersModel: tf.model({
      inputs,
      outputs: [exit(states[config.shallowLayers - 1]), exit(states[config.decoderLayers - 1])],
      name: 'shallowDeep',
    }),
    statesModel: tf.model({ inputs, outputs: [encoderStates, ...states], name: 'shallowDeepStates' }),
    layers,
  }
}

/** The variables by our full names: the layer's name and, where it has several weights, theirs. */
function collectVariables(config: ModelConfig, layers: readonly WeightedLayer[]): Map<string, tf.Variable> {
  const found = new Map<string, tf.Variable>()
  for (const layer of layers) {
    for (const name of layer.weightNames) {
      found.set(name === 'weight' ? layer.name : `${layer.name}.${name}`, layer.variable(name))
    }
  }
  // What no layer owns is not part of the graph: the confidence head.
  const own = (shape: readonly number[]) => tf.tidy(() => tf.variable(tf.zeros([...shape])))
  return new Map(weightSpecs(config).map(({ name, shape }) => [name, found.get(name) ?? own(shape)]))
}

function assignWeight(name: string, variable: tf.Variable, weights: HostWeights): void {
  const weight = weights.get(name)
  if (!weight) {
    throw new ShallowDeepError({
      code: 'model.missing-weight',
      message: `the weights have no ${name}, which this configuration needs`,
      details: { name },
    })
  }
  if (weight.shape.join() !== variable.shape.join()) {
    throw new ShallowDeepError({
      code: 'model.wrong-shape',
      message: `${name}: expected shape [${variable.shape}], got [${weight.shape}]`,
      details: { name, expected: variable.shape, actual: weight.shape },
    })
  }
  tf.tidy(() => variable.assign(tf.tensor(weight.data, variable.shape, 'float32')))
}
