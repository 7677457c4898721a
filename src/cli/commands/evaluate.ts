// `shallowdeep evaluate`: one policy's quality, speed and exits over a data file.
import { z } from 'zod'
import {
  checkpointShape,
  columnsShape,
  dataPath,
  engineShape,
  filePath,
  policyShape,
  refineDecoding,
  taskShape,
} from '../../config/index.js'
import type { Prediction } from '../../data/index.js'
import type { EvaluationResult } from '../../evaluation/index.js'
import { CHECKPOINT_GROUPS, loopOptionsOf, readData, withCheckpoint } from '../checkpointCommand.js'
import { defineCommand } from '../command.js'
import {
  evaluationOptions,
  MEASURE_GROUPS,
  measureShape,
  metricsOf,
  prepareResultFolders,
  showOutputs,
  writeResults,
} from '../evaluationCommand.js'
import { EXIT } from '../failure.js'
import type { Output } from '../output.js'
import { prepareProfit } from '../profit.js'

const schema = z
  .strictObject({
    ...checkpointShape,
    data: dataPath,
    ...columnsShape,
    ...taskShape,
    ...policyShape,
    ...engineShape,
    baseline: z
      .enum(['full'])
      .optional()
      .describe('measure full in the same pass, in alternation, for the speed-ups'),
    ...measureShape,
    predictions: filePath
      .optional()
      .describe('write the outputs there for score and compare: a text a line, or .jsonl with times'),
    minScore: z.number().optional().describe('exit with code 3 where the first metric is below this'),
    minSpeedup: z
      .number()
      .positive()
      .optional()
      .describe('exit with code 3 where the speed-up is below this; needs --baseline full'),
  })
  .superRefine(refineDecoding)
  .refine(({ minSpeedup, baseline }) => minSpeedup === undefined || baseline !== undefined, {
    path: ['minSpeedup'],
    message: 'needs --baseline full, which the speed-up is over',
  })

export const createCommand = defineCommand({
  name: 'evaluate',
  summary: "measure one policy's quality, speed and exits over a data file",
  schema,
  groups: {
    ...CHECKPOINT_GROUPS,
    'Measurement:': [...MEASURE_GROUPS['Measurement:'], 'predictions'],
    'Comparison:': ['baseline', 'minScore', 'minSpeedup'],
  },
  examples: [
    'shallowdeep evaluate --checkpoint checkpoints/translation-de-en \\',
    '  --data datasets/translation_de_en/test.csv --target-column target_1,target_2 \\',
    '  --policy free --threshold adaptive --baseline full',
  ],
  async run(options, context) {
    const { output } = context
    metricsOf(options)
    const openProfit = await prepareProfit(options, context)
    await prepareResultFolders(options)
    return withCheckpoint(options, output, async (checkpoint) => {
      const [{ createSelection }, { evaluate }, { policyFor }] = await Promise.all([
        import('../../decoding/index.js'),
        import('../../evaluation/index.js'),
        import('../../pipeline/index.js'),
      ])
      const policy = policyFor(checkpoint, options)
      const selection = createSelection(options)
      const profit = await openProfit(checkpoint, { policy, selection })
      const data = await readData(options, checkpoint, output)
      const { endProgress, ...common } = evaluationOptions(options, checkpoint, { data, context })
      let result: EvaluationResult
      let predictions: readonly Prediction[] = []
      try {
        result = await evaluate({
          ...common,
          loop: loopOptionsOf(options),
          createPolicy: () => policyFor(checkpoint, options),
          selection,
          profit,
          baseline: options.baseline === 'full',
          onPredictions: (all) => (predictions = all),
        })
      } finally {
        endProgress()
      }
      await savePredictions(predictions, options, output)
      await show(result, output)
      if (!output.isJson) await showOutputs(result.outputs, options, output)
      await writeResults(result, { results: { rows: [result] }, title: 'Evaluation', options, output })
      return checkGates(result, options, output)
    })
  },
})

async function savePredictions(
  predictions: readonly Prediction[],
  { predictions: path }: { readonly predictions?: string },
  output: Output,
): Promise<void> {
  if (path === undefined) return
  const { writePredictions } = await import('../../data/index.node.js')
  const numChanged = await writePredictions(path, predictions)
  if (numChanged > 0) {
    output.warn(`in ${numChanged} predictions line breaks became spaces; a file .jsonl keeps them`)
  }
  output.note(`wrote ${path}`)
}

async function show(result: EvaluationResult, output: Output): Promise<void> {
  if (output.isJson) return output.json(result)
  const { describeSetup, resultTable } = await import('../../report/index.js')
  const metrics = Object.keys(result.quality)
  output.line(resultTable({ rows: [result] }, { width: output.width, colour: output.hasColour, metrics }))
  output.line(describeSetup(result))
}

function checkGates(
  result: EvaluationResult,
  { minScore, minSpeedup }: { readonly minScore?: number; readonly minSpeedup?: number },
  output: Output,
): number {
  const [[metric, { score }]] = Object.entries(result.quality)
  const failed = [
    ...(minScore !== undefined && !(score >= minScore) ? [`${metric} ${score} is below ${minScore}`] : []),
    ...(minSpeedup !== undefined && !(result.speedup! >= minSpeedup)
      ? [`the speed-up ${result.speedup} is below ${minSpeedup}`]
      : []),
  ]
  for (const reason of failed) output.warn(`gate not met: ${reason}`)
  return failed.length > 0 ? EXIT.gate : EXIT.done
}
