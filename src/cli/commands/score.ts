// `shallowdeep score`: any system's predictions against the references of a data file.
import { z } from 'zod'
import { bootstrapShape, columnsShape, dataPath, filePath, taskShape } from '../../config/index.js'
import { defineCommand } from '../command.js'
import { measureShape, metricsOf } from '../evaluationCommand.js'

const schema = z.strictObject({
  data: dataPath.describe('examples with references: .csv, .tsv, .jsonl or SQuAD .json, plain or gzipped'),
  predictions: filePath.describe(
    'a prediction a line, in the order of the data; an empty line is an empty one; or .jsonl with a "text" a line',
  ),
  ...columnsShape,
  limit: columnsShape.limit.describe('score this many at most, from the start of both files'),
  task: taskShape.task.describe('text2text, translation, summarization or question-answering: which metrics'),
  metrics: measureShape.metrics,
  ...bootstrapShape,
})

export const createCommand = defineCommand({
  name: 'score',
  summary: "score any system's predictions against a data file's references",
  schema,
  groups: {
    'Input:': ['data', 'predictions', ...Object.keys(columnsShape)],
    'Metrics:': ['task', 'metrics', ...Object.keys(bootstrapShape)],
  },
  examples: [
    'shallowdeep generate --checkpoint checkpoints/translation-de-en --task translation \\',
    '  --data datasets/translation_de_en/test.csv --output /tmp/predictions.txt',
    'shallowdeep score --task translation --data datasets/translation_de_en/test.csv \\',
    '  --target-column target_1,target_2 --predictions /tmp/predictions.txt',
  ],
  async run(options, { output }) {
    const { resamples, level, seed } = options
    const metrics = metricsOf(options)
    const { scorePredictions } = await import('../../pipeline/index.node.js')
    const { examples, quality, report } = await scorePredictions({
      ...options,
      metrics,
      bootstrap: { numResamples: resamples, level, seed },
    })
    if (report.numSkipped > 0) output.warn(`${report.numSkipped} rows could not be used and were left out`)
    if (output.isJson) return output.json({ examples, quality })
    const { scoreTable } = await import('../../report/index.js')
    output.line(scoreTable(quality, { level, width: output.width, colour: output.hasColour }))
    output.note(`${examples} examples`)
  },
})
