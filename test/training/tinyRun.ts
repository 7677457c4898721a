// A model, examples and settings small enough to train in a test, and how a training is watched.
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mkdtemp, rm } from 'node:fs/promises'
import {
  parseModelConfig,
  trainingConfigSchema,
  type ModelConfig,
  type TrainingConfig,
} from '../../src/config/index.js'
import type { EncodedExample } from '../../src/data/index.js'
import { buildModel, initialWeights, type ShallowDeepModel } from '../../src/model/index.js'
import { Random } from '../../src/random.js'
import {
  train,
  type Snapshot,
  type TrainingEvent,
  type TrainOptions,
  type ValidationResult,
} from '../../src/training/index.js'

export type StepEvent = Extract<TrainingEvent, { type: 'step' }>
export type EndEvent = Extract<TrainingEvent, { type: 'end' }>

/** One encoder layer, three decoder layers, shallow after the first; dropout 0.1 unless changed. */
export function tinyConfig(changed: Partial<ModelConfig> = {}): ModelConfig {
  const shape = { vocabSize: 16, dModel: 8, numHeads: 2, dKv: 4, dFf: 16, encoderLayers: 1, decoderLayers: 3 }
  return parseModelConfig({ ...shape, shallowLayers: 1, relativeBuckets: 8, ...changed }, 'test')
}

/** The same fresh weights each time. */
export function tinyModel(changed: Partial<ModelConfig> = {}): ShallowDeepModel {
  const config = tinyConfig(changed)
  return buildModel(config, initialWeights(config, 1))
}

/** Examples of unequal lengths whose target is their source: something to learn. */
export function copyExamples(count: number, seed = 3): EncodedExample[] {
  const random = new Random(seed)
  return Array.from({ length: count }, () => {
    const source = Int32Array.from([
      ...Array.from({ length: 1 + random.integer(5) }, () => 3 + random.integer(13)),
      1,
    ])
    return { source, target: source }
  })
}

/** Settings without warm-up, at a constant rate; small batches. */
export function tinyTraining(changed: Partial<TrainingConfig> = {}): TrainingConfig {
  return trainingConfigSchema.parse({
    batchSize: 2,
    warmupSteps: 0,
    schedule: 'constant',
    seed: 5,
    epochs: 1,
    ...changed,
  })
}

export interface Watched {
  readonly events: TrainingEvent[]
  readonly steps: StepEvent[]
  readonly snapshots: Snapshot[]
  /** Undefined where the training threw. */
  readonly end: EndEvent | undefined
}

/**
 * Trains to the end and gathers everything. `onEvent` is called as each event comes; what it throws ends the training as
 * a caller's own error would.
 */
export async function watch(
  options: Omit<TrainOptions, 'save'> & Partial<Pick<TrainOptions, 'save'>>,
  onEvent: (event: TrainingEvent) => void | Promise<void> = () => {},
): Promise<Watched> {
  const events: TrainingEvent[] = []
  const snapshots: Snapshot[] = []
  const save = async (snapshot: Snapshot) => {
    snapshots.push(snapshot)
    await options.save?.(snapshot)
  }
  for await (const event of train({ ...options, save })) {
    events.push(event)
    await onEvent(event)
  }
  return {
    events,
    steps: events.filter((event) => event.type === 'step'),
    snapshots,
    end: events.find((event) => event.type === 'end'),
  }
}

/** A validation that answers the given losses (shallow, deep) in turn. */
export function scriptedValidation(losses: readonly (readonly [number, number])[]) {
  let calls = 0
  return async (): Promise<ValidationResult> => {
    const [shallow, deep] = losses[calls++ % losses.length]
    const quality = (loss: number) => ({ loss, perplexity: Math.exp(loss), bleu: null })
    return { shallow: quality(shallow), deep: quality(deep), agreement: 0.5 }
  }
}

/** All weights as plain bits, for exact comparison. */
export async function weightBits(model: ShallowDeepModel): Promise<Record<string, number[]>> {
  const weights = await model.readWeights()
  return Object.fromEntries(
    [...weights].map(([name, { data }]) => [name, [...new Uint32Array(data.slice().buffer)]]),
  )
}

/** A folder that is removed after use. */
export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'shallowdeep-training-'))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
