// What is measured: a shape with random weights and random sources, or a trained checkpoint with sources of its task.
import { decodingOptionsSchema, type ModelConfig } from '../../src/config/index.js'
import type { DecoderEngine, Policy } from '../../src/decoding/index.js'
import { initialWeights } from '../../src/model/index.js'
import { policyFor } from '../../src/pipeline/index.js'
import {
  openCheckpoint,
  openEngine,
  readEvaluationExamples,
  type ReadEvaluationOptions,
} from '../../src/pipeline/index.node.js'
import { Random } from '../../src/random.js'
import { engineOptions, type BenchPolicy, type EngineSpec } from './plan.js'
import { shapeConfig, type ShapeName } from './shapes.js'

/** An engine that was opened; the caller disposes it. */
export interface OpenedModel {
  readonly engine: DecoderEngine
  /** A fresh policy whose exits are the model's own; throws what `policyFor` throws. */
  readonly createPolicy: (policy: BenchPolicy) => Policy
}

/** A model to be measured with any engine. */
export interface BenchModel {
  readonly name: string
  readonly config: ModelConfig
  /** Whether its own ends of sequence mean something. */
  readonly isTrained: boolean
  /** Throws what opening engines throws. */
  open(spec: EngineSpec): Promise<OpenedModel>
  /** Token ids of a source by its number, which may be below 0. */
  source(index: number): ArrayLike<number>
}

/** Random exits are hardly ever sure; what matters is that they are asked. */
const RANDOM_THRESHOLD = 0.9

/** A model of a shape. `sourceLength`: of its sources, the end of sequence included. */
export function randomModel(
  name: ShapeName,
  options: { readonly seed: number; readonly sourceLength: number; readonly shallowLayers?: number },
): BenchModel {
  const { seed, sourceLength, shallowLayers } = options
  const config = shapeConfig(name, shallowLayers)
  const weights = initialWeights(config, seed)
  return {
    name,
    config,
    isTrained: false,
    async open(spec) {
      const { engine } = await openEngine({ config, weights }, engineOptions(spec))
      return { engine, createPolicy: (policy) => createModelPolicy({ engine }, policy, RANDOM_THRESHOLD) }
    },
    source(index) {
      const random = new Random(seed).fork(index)
      const first = Math.max(config.padId, config.eosId) + 1
      const tokens = Array.from(
        { length: sourceLength - 1 },
        () => first + random.integer(config.vocabSize - first),
      )
      return [...tokens, config.eosId]
    },
  }
}

/**
 * A trained checkpoint. `threshold` of its own exits. Opens the engine `first` to read the data, and frees it. Throws what
 * opening checkpoints and reading data throws.
 */
export async function trainedModel(
  path: string,
  options: Omit<ReadEvaluationOptions, 'tokenizer'> & {
    readonly data: string
    readonly threshold: number | 'calibrated'
    readonly first: EngineSpec
    readonly shallowLayers?: number
  },
): Promise<BenchModel> {
  const { data, threshold, first, shallowLayers, ...reading } = options
  const open = (spec: EngineSpec) => openCheckpoint(path, { ...engineOptions(spec), shallowLayers })
  const opened = await open(first)
  let sources: ArrayLike<number>[]
  try {
    const { examples } = await readEvaluationExamples(data, {
      ...reading,
      tokenizer: opened.tokenizer,
      hasTarget: false,
    })
    sources = examples.map(({ source }) => source)
  } finally {
    opened.dispose()
  }
  return {
    name: 'checkpoint',
    config: opened.config,
    isTrained: true,
    async open(spec) {
      const checkpoint = await open(spec)
      return {
        engine: checkpoint.engine,
        createPolicy: (policy) => createModelPolicy(checkpoint, policy, threshold),
      }
    },
    source: (index) => sources[((index % sources.length) + sources.length) % sources.length],
  }
}

function createModelPolicy(
  model: Parameters<typeof policyFor>[0],
  policy: BenchPolicy,
  threshold: number | 'calibrated',
): Policy {
  return policyFor(model, { ...decodingOptionsSchema.parse({ policy }), threshold })
}
