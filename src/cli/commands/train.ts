// `shallowdeep train`: a training run from files, with a progress bar; Ctrl-C saves and says how to go on.
import { learningShape, modelShape, trainRunSchema } from '../../config/index.js'
import { defineCommand } from '../command.js'
import { readStoredRun, RUN_GROUPS, showTraining } from '../trainingView.js'

export const createCommand = defineCommand({
  name: 'train',
  summary: 'train a shallow-deep model on a data file',
  schema: trainRunSchema,
  groups: {
    ...RUN_GROUPS,
    'Model:': Object.keys(modelShape),
    'Training:': Object.keys(learningShape),
  },
  examples: [
    'shallowdeep tokenizer train --data datasets/translation_de_en/test.csv \\',
    '  --target-column target_1,target_2 --vocab-size 300 --output /tmp/tokenizer.json',
    'shallowdeep train --data datasets/translation_de_en/test.csv --target-column target_1,target_2 \\',
    '  --tokenizer /tmp/tokenizer.json --d-model 32 --d-ff 64 --decoder-layers 4 --batch-size 16 \\',
    '  --steps 30 --warmup-steps 10 --output /tmp/run',
    'shallowdeep train --resume --output /tmp/run --steps 60',
  ],
  readStored: (given) => readStoredRun(given, 'train'),
  async run(config, { output, signal }) {
    const { trainRun } = await import('../../pipeline/index.node.js')
    return showTraining((options) => trainRun(config, options), {
      output,
      signal,
      command: 'train',
      folder: config.output,
    })
  },
})
