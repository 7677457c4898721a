// Fine-tuning: a training run that begins from a checkpoint, a plain T5 too, which gets its shallow exit here.
import { join, resolve } from 'node:path'
import { readCheckpointFolder } from '../checkpoint/index.node.js'
import {
  completeFinetune,
  loraMatrices,
  trainedParts,
  type FinetuneConfig,
  type FinetuneOptions,
  type ModelConfig,
} from '../config/index.js'
import { ShallowDeepError } from '../errors.js'
import { initialLora, withConfidenceHead } from '../model/index.js'
import { openTokenizer } from '../tokenizer/index.js'
import { weightsToTrain } from '../training/index.js'
import { findCheckpoint } from './openCheckpoint.node.js'
import { chooseDepthFor } from './finetuneDepth.node.js'
import { readRunOptions, refuseOtherShape, refuseUsedFolder } from './trainRunFolder.node.js'
import { runTraining, type RunStart, type TrainRunEvent, type TrainRunOptions } from './trainRunLoop.node.js'

/**
 * Fine-tunes as `options` say: shape and tokenizer are the checkpoint's. Throws, before any work, `finetune.no-such-layer`,
 * `training.nothing-to-train`, `checkpoint.no-tokenizer` and `finetune.other-tokenizer`; then what {@link runTraining}
 * throws.
 */
export async function* finetune(
  options: FinetuneOptions,
  runOptions: TrainRunOptions = {},
): AsyncGenerator<TrainRunEvent, void, void> {
  const given = completeFinetune(options)
  // A run's best checkpoint may be another one tomorrow: what is stored is the one that was taken.
  const from = await (given.resume ? begunFrom(given) : findCheckpoint(given.from))
  let { shallowLayers } = given
  if (shallowLayers === 'auto' && given.resume) {
    const { values } = await readRunOptions(given.output, 'finetune')
    shallowLayers = values.shallowLayers as number | undefined
  } else if (shallowLayers === 'auto') {
    await refuseUsedFolder(given.output)
    const choice = await chooseDepthFor({ ...given, from }, runOptions.signal)
    yield { type: 'depth', choice }
    shallowLayers = choice.shallowLayers
  }
  const config = { ...given, from, shallowLayers }
  const { dropout, confidenceHead } = config
  yield* runTraining(
    {
      config,
      baseModel: resolve(from),
      begin: () => begin(config),
      // A head that the checkpoint had stays, asked for or not.
      refuseOtherModel: (saved) =>
        refuseOtherShape({ shallowLayers, dropout, ...(confidenceHead && { confidenceHead }) }, saved),
    },
    runOptions,
  )
}

/** What a run that is resumed was begun from, which cannot change. */
async function begunFrom({ output, from }: FinetuneConfig): Promise<string> {
  const { values } = await readRunOptions(output, 'finetune')
  const stored = String(values.from)
  if (resolve(from) === stored) return stored
  throw new ShallowDeepError({
    code: 'training.changed-config',
    message: `the run in ${output} was begun from ${stored}, not from ${from}`,
    hint: 'leave out --from to go on, or begin a new run in another folder',
    details: { output, stored, from },
  })
}

/** Fine-tuning whose shallow depth is decided; undefined: that of the checkpoint. */
type DecidedConfig = Omit<FinetuneConfig, 'shallowLayers'> & { readonly shallowLayers: number | undefined }

async function begin(config: DecidedConfig): Promise<RunStart> {
  const folder = config.from
  const checkpoint = await readCheckpointFolder(folder)
  const model = changeModel(checkpoint.config, config)
  weightsToTrain(model, config)
  if (checkpoint.tokenizerJson === undefined) {
    throw new ShallowDeepError({
      code: 'checkpoint.no-tokenizer',
      message: `${folder} has no tokenizer.json`,
      hint: 'put the tokenizer of the model there',
      details: { folder },
    })
  }
  const tokenizer = openTokenizer(checkpoint.tokenizerJson, join(folder, 'tokenizer.json'))
  if (tokenizer.vocabSize > model.vocabSize) {
    throw new ShallowDeepError({
      code: 'finetune.other-tokenizer',
      message: `${folder}: the tokenizer has ${tokenizer.vocabSize} tokens, the model only ${model.vocabSize}`,
      hint: 'put the tokenizer of the model there',
      details: { folder, tokenizer: tokenizer.vocabSize, model: model.vocabSize },
    })
  }
  const weights = withConfidenceHead(checkpoint.weights, model)
  const { loraRank: rank, loraAlpha: alpha, loraTargets, seed } = config
  if (rank === undefined) return { tokenizer, config: model, weights }
  const matrices = loraMatrices(model, loraTargets, trainedParts(config))
  if (matrices.length === 0) throw noMatrices(config)
  return {
    tokenizer,
    config: model,
    weights,
    lora: initialLora(model, { rank, alpha, matrices }, seed),
  }
}

/** The checkpoint's model with what is to be another. */
function changeModel(saved: ModelConfig, config: DecidedConfig): ModelConfig {
  const { shallowLayers = saved.shallowLayers, dropout = saved.dropout, from: folder } = config
  if (shallowLayers >= saved.decoderLayers) {
    throw new ShallowDeepError({
      code: 'finetune.no-such-layer',
      message: `--shallow-layers: expected fewer than the ${saved.decoderLayers} decoder layers of ${folder}, got ${shallowLayers}`,
      hint: 'the shallow exit comes before the last layer',
      details: { folder, shallowLayers, decoderLayers: saved.decoderLayers },
    })
  }
  return { ...saved, shallowLayers, dropout, confidenceHead: saved.confidenceHead || config.confidenceHead }
}

function noMatrices({ loraTargets }: Pick<FinetuneConfig, 'loraTargets'>): ShallowDeepError {
  return new ShallowDeepError({
    code: 'training.nothing-to-train',
    message: `--lora-rank: the parts that are trained have no matrices of ${loraTargets.join(', ')}`,
    hint: 'updates belong to encoder, shallow-layers and deep-layers: train one of them, or leave out --lora-rank',
    details: { loraTargets },
  })
}
