// A training run on disk: each checkpoint is a canonical folder (any program can open it) with the optimiser's moments
// and the progress beside it, so that a run goes on exactly where it stopped.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readSafetensors, toCheckpointFiles, writeSafetensors, type JsonObject } from '../checkpoint/index.js'
import { openRun, readCheckpointFolder, replaceFile, type Run } from '../checkpoint/index.node.js'
import {
  matrixOf,
  parseConfig,
  trainingConfigSchema,
  type Lora,
  type ModelConfig,
  type TrainingConfig,
} from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import type { HostWeight, HostWeights, ShallowDeepModel } from '../model/index.js'
import type { Snapshot, TrainingProgress } from './trainer.js'

const MOMENTS_FILE = 'optimiser.safetensors'
/** There only where there are parameters beyond the model's weights. */
const EXTRAS_FILE = 'extras.safetensors'
/** In the run's folder: the matrices that have low-rank updates, as they were; checkpoints hold them merged. */
const BASE_FILE = 'base.safetensors'
const STATE_FILE = 'training.json'

/** What a checkpoint of a run holds beside the model. */
interface TrainingState {
  readonly training: TrainingConfig
  readonly progress: TrainingProgress
}

/** A run that was found, ready to go on. */
export interface ResumedRun {
  readonly config: ModelConfig
  /** Without low-rank updates. */
  readonly weights: HostWeights
  /** Low-rank updates, where the run trains them. */
  readonly lora?: Lora
  readonly tokenizerJson: JsonObject
  readonly training: TrainingConfig
  /** Settings of its steps that are other than before: `learningRate 0.02 -> 0.01`. */
  readonly changes: readonly string[]
  readonly progress: TrainingProgress
  readonly moments: HostWeights
  readonly extras: HostWeights
}

/** Settings that may change freely when a run is resumed: how long, how often and in what parts. */
const FREE = new Set<string>([
  'epochs',
  'steps',
  'validateEvery',
  'saveEvery',
  'keepCheckpoints',
  'maxPassTokens',
])

/** Settings that may change and are reported: what a step computes from its gradients, as after a training that diverged. */
const REPORTED = new Set<string>([
  'learningRate',
  'schedule',
  'warmupSteps',
  'weightDecay',
  'maxGradientNorm',
])

/** Opens the folder of a run for saving. Throws what `openRun` throws. */
export function openTrainingRun(output: string, training: TrainingConfig): Promise<Run> {
  return openRun(output, { keepLast: training.keepCheckpoints })
}

/** Writes, before the first step, what a run with low-rank updates needs to go on; nothing for another run. */
export async function saveBase(output: string, { variables, factors }: ShallowDeepModel): Promise<void> {
  const matrices = matricesOf(factors)
  if (matrices.length === 0) return
  const base = new Map<string, HostWeight>()
  for (const name of matrices) {
    const variable = variables.get(name)!
    base.set(name, { shape: variable.shape, data: (await variable.data()) as Float32Array })
  }
  await replaceFile(join(output, BASE_FILE), writeSafetensors(base))
}

function matricesOf(factors: ReadonlyMap<string, unknown>): string[] {
  return [...factors.keys()].flatMap((name) => matrixOf(name) ?? [])
}

/** Writes a checkpoint of a run. */
export async function saveSnapshot(
  run: Run,
  snapshot: Snapshot,
  context: {
    readonly model: ShallowDeepModel
    readonly tokenizerJson: JsonObject
    readonly training: TrainingConfig
  },
): Promise<void> {
  const { progress, moments, extras, isBest } = snapshot
  const state: TrainingState = { training: context.training, progress }
  const files = toCheckpointFiles({
    config: context.model.config,
    weights: await context.model.readWeights(),
    tokenizerJson: context.tokenizerJson,
    otherFiles: new Map<string, Uint8Array | string>([
      [MOMENTS_FILE, writeSafetensors(moments)],
      ...(extras.size > 0 ? [[EXTRAS_FILE, writeSafetensors(extras)] as const] : []),
      [STATE_FILE, `${JSON.stringify(state, null, 2)}\n`],
    ]),
  })
  await run.save({ step: progress.step, files, best: isBest, info: { validation: progress.validation } })
}

/**
 * Reads the last checkpoint of a run. Throws `training.nothing-to-resume` when there is none, and
 * `training.changed-config` when `training` differs from the run's in what is learnt; how a step goes may change.
 */
export async function resumeRun(run: Run, output: string, training: TrainingConfig): Promise<ResumedRun> {
  const folder = run.last()
  if (!folder) {
    throw new ShallowDeepError({
      code: 'training.nothing-to-resume',
      message: `${output} holds no checkpoint to resume from`,
      hint: 'leave out --resume to begin a new run there',
      details: { output },
    })
  }
  const checkpoint = await readCheckpointFolder(folder)
  const statePath = join(folder, STATE_FILE)
  const state = JSON.parse(await readFile(statePath, 'utf8')) as TrainingState
  // Settings that a run was begun without have their neutral defaults.
  const saved = parseConfig(trainingConfigSchema, state.training, statePath)
  const changed = changedKeys(saved, training)
  const describe = (key: keyof TrainingConfig) =>
    `${key} ${JSON.stringify(saved[key])} -> ${JSON.stringify(training[key])}`
  refuseChanges(
    changed.filter((key) => !FREE.has(key) && !REPORTED.has(key)),
    describe,
    folder,
  )
  const extrasPath = join(folder, EXTRAS_FILE)
  const extras: HostWeights = existsSync(extrasPath) ? await readTensors(extrasPath) : new Map()
  const resumed = {
    config: checkpoint.config,
    weights: checkpoint.weights,
    tokenizerJson: checkpoint.tokenizerJson!,
    training,
    changes: changed.filter((key) => REPORTED.has(key)).map(describe),
    progress: state.progress,
    moments: await readTensors(join(folder, MOMENTS_FILE)),
    extras,
  }
  const { loraRank: rank, loraAlpha: alpha } = training
  if (rank === undefined) return resumed
  return {
    ...resumed,
    weights: new Map([...checkpoint.weights, ...(await readTensors(join(output, BASE_FILE)))]),
    lora: { rank, alpha, matrices: matricesOf(extras), factors: extras },
  }
}

async function readTensors(path: string): Promise<HostWeights> {
  return readSafetensors(await readFile(path), path).tensors as ReadonlyMap<string, HostWeight>
}

function changedKeys(saved: TrainingConfig, wanted: TrainingConfig): (keyof TrainingConfig)[] {
  const keys = new Set([...Object.keys(saved), ...Object.keys(wanted)]) as Set<keyof TrainingConfig>
  return [...keys].filter((key) => JSON.stringify(saved[key]) !== JSON.stringify(wanted[key]))
}

function refuseChanges(
  changed: readonly (keyof TrainingConfig)[],
  describe: (key: keyof TrainingConfig) => string,
  folder: string,
): void {
  if (changed.length === 0) return
  throw new ShallowDeepError({
    code: 'training.changed-config',
    message: `${folder} was trained with other settings: ${changed.map(describe).join(', ')}`,
    hint: 'resume with the same settings, or begin a new run in another folder',
    details: { changed },
  })
}
