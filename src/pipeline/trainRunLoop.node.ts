// A training run from files to checkpoints, whatever it begins from: reads and encodes the data, opens or resumes the run's
// folder, trains, logs, validates. Yields what happens; prints nothing. Beginnings: trainRun.node.ts, finetune.node.ts.
import { join, resolve } from 'node:path'
import type { JsonObject } from '../checkpoint/index.js'
import type { Run } from '../checkpoint/index.node.js'
import {
  trainingPartOf,
  type HostWeights,
  type Lora,
  type ModelConfig,
  type RunConfig,
} from '../config/index.js'
import { encodeExamples, prefixOf, taskByName, type EncodedExamples, type Example } from '../data/index.js'
import { readAllExamples } from '../data/index.node.js'
import type { BackendName, ChosenBackend } from '../engines/tfjs/index.js'
import { chooseBackend } from '../engines/tfjs/index.node.js'
import { ShallowDeepError } from '../errors.js'
import type { DepthChoice } from '../evaluation/index.js'
import { buildModel, type ShallowDeepModel } from '../model/index.js'
import { openTokenizer, type Tokenizer } from '../tokenizer/index.js'
import { TrainLog, type TimedStep } from './trainLog.node.js'
import {
  countSteps,
  train,
  trainedVariables,
  type TrainingEvent,
  type ValidationResult,
} from '../training/index.js'
import {
  openTrainingRun,
  resumeRun,
  saveBase,
  saveSnapshot,
  writeAdapter,
  type ResumedRun,
} from '../training/index.node.js'
import { logPathOf, refuseOtherData, refuseUsedFolder, writeRunFiles } from './trainRunFolder.node.js'
import { validateModel, type ValidationSet } from './validateModel.js'

/** Everything is read and the model stands; the first step comes next. */
export interface PreparedEvent {
  readonly type: 'prepared'
  readonly backend: ChosenBackend
  readonly numParameters: number
  /** Those of them, and of low-rank updates, that are trained. */
  readonly numTrained: number
  readonly numExamples: number
  readonly truncatedSources: number
  readonly truncatedTargets: number
  /** Rows of both files that could not be used. */
  readonly skippedRows: number
  readonly numValidationExamples: number
  readonly totalSteps: number
  /** Steps done before this session; null for a new run. */
  readonly resumedFrom: number | null
  /** Settings of the steps that are other than before, in words. */
  readonly changes: readonly string[]
}

/** How a run stands at its end or interruption. */
export interface TrainRunResult {
  /** Steps done in all. */
  readonly steps: number
  readonly bestStep: number | null
  /** What the validation of the best step found; null without validation. */
  readonly validation: ValidationResult | null
  /** Folder of the best checkpoint; null when none was saved. */
  readonly checkpoint: string | null
  /** Folder of the last one. */
  readonly lastCheckpoint: string | null
  readonly isInterrupted: boolean
}

/** The shallow depth was chosen by measurement; before `prepared`, where that was asked for. */
export interface DepthEvent {
  readonly type: 'depth'
  readonly choice: DepthChoice
}

export type TrainRunEvent =
  | DepthEvent
  | PreparedEvent
  | TimedStep
  | Exclude<TrainingEvent, { type: 'step' | 'end' }>
  | { readonly type: 'result'; readonly result: TrainRunResult }

export interface TrainRunOptions {
  /** When aborted, the step under way is finished and saved; before the first step, it rejects. */
  readonly signal?: AbortSignal
  /** Called while a validation decodes. */
  readonly onDecoded?: (numDone: number, numTotal: number) => void
}

/** What a new run begins with. */
export interface RunStart {
  readonly tokenizer: Tokenizer
  readonly config: ModelConfig
  readonly weights: HostWeights
  /** Low-rank updates that are trained in place of the weights. Neutral: undefined. */
  readonly lora?: Lora
}

/** A kind of training run. */
export interface RunKind {
  readonly config: RunConfig
  /** The checkpoint that it begins from, for the files of low-rank updates. Neutral: undefined. */
  readonly baseModel?: string
  /** What a new run begins with; throws where that cannot be. */
  begin(): Promise<RunStart>
  /** Throws where a run that is resumed is asked for another model than it has. */
  refuseOtherModel(saved: ModelConfig): void
}

/** Folder, in a run's folder, of the best checkpoint's low-rank updates alone. */
const ADAPTER_FOLDER = 'adapter'

/**
 * Trains as the kind of run says. Throws, before any work, `training.run-exists` and `training.folder-in-use`; then what
 * its beginning and reading data and checkpoints throws, `training.changed-config` and `training.changed-data` (resuming
 * with what would make it another run), and `training.not-finite`, which names the last good checkpoint.
 */
export async function* runTraining(
  kind: RunKind,
  options: TrainRunOptions = {},
): AsyncGenerator<TrainRunEvent, void, void> {
  const { config } = kind
  const { signal } = options
  const output = resolve(config.output)
  if (!config.resume) await refuseUsedFolder(config.output)
  const training = trainingPartOf(config)
  let run: Run | undefined
  let resumed: ResumedRun | undefined
  let start: RunStart
  if (config.resume) {
    run = await openTrainingRun(output, training)
    resumed = await resumeRun(run, config.output, training)
    kind.refuseOtherModel(resumed.config)
    start = { ...resumed, tokenizer: openTokenizer(resumed.tokenizerJson, config.output) }
  } else {
    start = await kind.begin()
  }
  const data = await readData(config, start.tokenizer)
  signal?.throwIfAborted()
  if (resumed) await refuseOtherData(output, data.train.examples)

  const backend = await chooseBackend({ backend: config.backend as BackendName, threads: config.threads })
  run ??= await openTrainingRun(output, training)
  await writeRunFiles(output, { ...config, backend: backend.name }, data.train.examples)
  const log = await TrainLog.open(logPathOf(output), config.logEvery)
  const model = buildModel(start.config, start.weights, start.lora)
  try {
    if (!resumed) await saveBase(output, model)
    const prepared = describePrepared(config, { backend, model, data, resumed })
    await log.write(prepared as unknown as JsonObject)
    yield prepared
    const { tokenizer } = start
    yield* trainAndLog({ kind, options, run, resumed, model, tokenizer, data, log })
  } finally {
    model.dispose()
  }
}

interface Session {
  readonly kind: RunKind
  readonly options: TrainRunOptions
  readonly run: Run
  readonly resumed: ResumedRun | undefined
  readonly model: ShallowDeepModel
  readonly tokenizer: Tokenizer
  readonly data: RunData
  readonly log: TrainLog
}

async function* trainAndLog(session: Session): AsyncGenerator<TrainRunEvent, void, void> {
  const { kind, options, run, resumed, model, tokenizer, data, log } = session
  const { config } = kind
  const training = trainingPartOf(config)
  const { validation } = data
  const tokenizerJson = tokenizer.toJSON() as JsonObject
  const events = train({
    model,
    examples: data.train.examples,
    config: training,
    signal: options.signal,
    resume: resumed,
    validate:
      validation &&
      ((trained) =>
        validateModel(trained, validation, {
          tokenizer,
          maxSourceLength: config.maxSourceLength,
          maxNewTokens: config.maxTargetLength,
          ...options,
        })),
    save: async (snapshot) => {
      await saveSnapshot(run, snapshot, { model, tokenizerJson, training })
      const lora = snapshot.isBest ? await model.readLora() : undefined
      if (lora) await saveAdapter(lora, session)
    },
  })
  try {
    for (;;) {
      const asked = performance.now()
      const { value: event, done } = await events.next()
      if (done) return
      if (event.type === 'step') {
        const step = { ...event, ms: performance.now() - asked }
        await log.step(step)
        yield step
      } else if (event.type === 'end') {
        await log.flush()
        const result = resultOf(run, event)
        await log.write({ type: 'end', ...result })
        yield { type: 'result', result }
      } else {
        await log.flush()
        await log.write(event)
        yield event
      }
    }
  } catch (error) {
    await log.flush()
    throw await logFailure(error, run, log)
  } finally {
    await events.return(undefined)
  }
}

function saveAdapter(lora: Lora, { kind: { config, baseModel = '' }, model }: Session): Promise<void> {
  const { loraDropout: dropout } = trainingPartOf(config)
  const folder = join(resolve(config.output), ADAPTER_FOLDER)
  return writeAdapter(folder, lora, { config: model.config, baseModel, dropout })
}

/** Names the last good checkpoint in the error that ends a diverged training. */
async function logFailure(error: unknown, run: Run, log: TrainLog): Promise<unknown> {
  if (!(error instanceof ShallowDeepError) || error.code !== 'training.not-finite') return error
  const last = run.last() ?? null
  await log.write({ type: 'failed', message: error.message, lastCheckpoint: last })
  return new ShallowDeepError({
    code: error.code,
    message: error.message,
    hint:
      (last === null
        ? 'no checkpoint was saved; train anew'
        : `the last good checkpoint is ${last}; add --resume to go on from it`) +
      ' with a lower --learning-rate or more --warmup-steps',
    details: { ...error.details, lastCheckpoint: last },
    kind: 'failure',
    cause: error,
  })
}

function resultOf(
  run: Run,
  { progress, isInterrupted }: Extract<TrainingEvent, { type: 'end' }>,
): TrainRunResult {
  const checkpoint = run.best() ?? null
  const best = run.checkpoints().find(({ path }) => path === checkpoint)
  return {
    steps: progress.step,
    bestStep: progress.bestStep,
    validation: (best?.info.validation as ValidationResult | undefined) ?? null,
    checkpoint,
    lastCheckpoint: run.last() ?? null,
    isInterrupted,
  }
}

interface RunData {
  readonly train: EncodedExamples
  readonly validation: ValidationSet | undefined
  readonly skippedRows: number
}

/** How the validation data is read: as the training data where nothing else is said. */
export function validationColumns(config: RunConfig) {
  return {
    sourceColumn: config.validationSourceColumn ?? config.sourceColumn,
    targetColumn: config.validationTargetColumn ?? config.targetColumn,
    jsonReferences: config.validationJsonReferences ?? config.jsonReferences,
    skipBadRows: config.skipBadRows,
  }
}

async function readData(config: RunConfig, tokenizer: Tokenizer): Promise<RunData> {
  const { maxSourceLength, maxTargetLength } = config
  const { metrics } = taskByName(config.task)
  const prefix = prefixOf(config)
  const encode = (examples: readonly Example[]) =>
    encodeExamples(examples, { tokenizer, prefix, maxSourceLength, maxTargetLength })
  const { examples, report } = await readAllExamples(config.data, config)
  const data = { train: await encode(examples), skippedRows: report.numSkipped }
  if (config.validation === undefined) return { ...data, validation: undefined }
  const other = await readAllExamples(config.validation, validationColumns(config))
  return {
    ...data,
    skippedRows: data.skippedRows + other.report.numSkipped,
    validation: {
      encoded: (await encode(other.examples)).examples,
      decoded: other.examples.slice(0, config.validationLimit),
      prefix,
      metrics,
    },
  }
}

function describePrepared(
  config: RunConfig,
  parts: Pick<Session, 'model' | 'data' | 'resumed'> & { readonly backend: ChosenBackend },
): PreparedEvent {
  const { backend, model, data, resumed } = parts
  const { examples, truncatedSources, truncatedTargets } = data.train
  return {
    type: 'prepared',
    backend,
    numParameters: sizeOf(model.variables),
    numTrained: sizeOf(trainedVariables(model, trainingPartOf(config))),
    numExamples: examples.length,
    truncatedSources,
    truncatedTargets,
    skippedRows: data.skippedRows,
    numValidationExamples: data.validation?.encoded.length ?? 0,
    totalSteps: countSteps(trainingPartOf(config), examples.length),
    resumedFrom: resumed?.progress.step ?? null,
    changes: resumed?.changes ?? [],
  }
}

function sizeOf(variables: ReadonlyMap<string, { readonly size: number }>): number {
  return [...variables.values()].reduce((sum, { size }) => sum + size, 0)
}
