// A training run from scratch: fresh weights of the wanted shape, and a tokenizer from its file.
import { modelPartOf, parseModelConfig, type TrainRunConfig } from '../config/index.js'
import { initialWeights } from '../model/index.js'
import { readTokenizer } from '../tokenizer/index.node.js'
import { refuseOtherShape } from './trainRunFolder.node.js'
import { runTraining, type TrainRunEvent, type TrainRunOptions } from './trainRunLoop.node.js'

/** Trains as `config` says. Throws what reading the tokenizer and {@link runTraining} throw. */
export function trainRun(
  config: TrainRunConfig,
  options: TrainRunOptions = {},
): AsyncGenerator<TrainRunEvent, void, void> {
  const shape = modelPartOf(config)
  return runTraining(
    {
      config,
      async begin() {
        const tokenizer = await readTokenizer(config.tokenizer)
        const { vocabSize, padId, eosId } = tokenizer
        const model = parseModelConfig(
          { ...shape, vocabSize, padId, eosId, decoderStartId: padId },
          'model options',
        )
        return { tokenizer, config: model, weights: initialWeights(model, config.seed) }
      },
      refuseOtherModel: (saved) => refuseOtherShape(shape, saved),
    },
    options,
  )
}
