// `shallowdeep finetune`: a training run that begins from a checkpoint; shown, interrupted and resumed as `train` is.
import { finetuneSchema, learningShape, modelChangeShape, tuningShape } from '../../config/index.js'
import { defineCommand } from '../command.js'
import { readStoredRun, RUN_GROUPS, showTraining } from '../trainingView.js'

export const createCommand = defineCommand({
  name: 'finetune',
  summary: 'train a checkpoint further: give it a shallow exit, a task, or low-rank updates',
  schema: finetuneSchema,
  groups: {
    ...RUN_GROUPS,
    'Run:': ['from', ...RUN_GROUPS['Run:']],
    'Model:': Object.keys(modelChangeShape),
    'What is trained:': Object.keys(tuningShape),
    'Training:': Object.keys(learningShape),
  },
  examples: [
    'shallowdeep finetune --from checkpoints/translation-de-en --data datasets/translation_de_en/test.csv \\',
    '  --target-column target_1,target_2 --limit 64 --lora-rank 4 --lora-targets query,value,feed-forward \\',
    '  --batch-size 8 --steps 5 --output /tmp/finetuned',
    'shallowdeep finetune --resume --output /tmp/finetuned --steps 8',
    'shallowdeep finetune --from checkpoints/translation-de-en --data datasets/translation_de_en/test.csv \\',
    '  --target-column target_1,target_2 --limit 64 --shallow-layers 4 --freeze encoder,embeddings \\',
    '  --distillation logits --batch-size 8 --steps 5 --output /tmp/deeper',
  ],
  readStored: (given) => readStoredRun(given, 'finetune'),
  async run(config, { output, signal }) {
    const { finetune } = await import('../../pipeline/index.node.js')
    return showTraining((options) => finetune(config, options), {
      output,
      signal,
      command: 'finetune',
      folder: config.output,
    })
  },
})
