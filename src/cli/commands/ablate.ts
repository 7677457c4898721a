// `shallowdeep ablate thresholds`: a sweep over fixed thresholds with the adaptive one beside them.
import { Command } from 'commander'
import { z } from 'zod'
import {
  checkpointShape,
  columnsShape,
  dataPath,
  engineShape,
  loopShape,
  policyShape,
  taskShape,
} from '../../config/index.js'
import type { AblationResult } from '../../evaluation/index.js'
import { CHECKPOINT_GROUPS, loopOptionsOf, readData, withCheckpoint } from '../checkpointCommand.js'
import { defineCommand, type Environment } from '../command.js'
import {
  evaluationOptions,
  MEASURE_GROUPS,
  measureShape,
  metricsOf,
  prepareResultFolders,
  showOutputs,
  writeResults,
} from '../evaluationCommand.js'
import type { Output } from '../output.js'

const unit = z.number().min(0).max(1)

const schema = z
  .strictObject({
    ...checkpointShape,
    data: dataPath,
    ...columnsShape,
    ...taskShape,
    thresholds: z
      .array(unit)
      .min(1)
      .default([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
      .describe('fixed thresholds to measure')
      .meta({ placeholder: '0..1,0..1,...' }),
    lossless: unit.optional().describe('measure lossless too, at this threshold'),
    calibrator: policyShape.calibrator,
    ...loopShape,
    ...engineShape,
    ...measureShape,
  })
  .refine(({ minNewTokens, maxNewTokens }) => minNewTokens < maxNewTokens, {
    path: ['minNewTokens'],
    message: 'must be less than the most new tokens, which count the end of sequence too',
  })

const thresholdsCommand = defineCommand({
  name: 'thresholds',
  summary: 'sweep fixed thresholds, with full, static and the adaptive threshold beside them',
  schema,
  groups: { ...CHECKPOINT_GROUPS, 'Sweep:': ['thresholds', 'lossless'], ...MEASURE_GROUPS },
  examples: [
    'shallowdeep ablate thresholds --checkpoint checkpoints/translation-de-en \\',
    '  --data datasets/translation_de_en/test.csv --target-column target_1,target_2 \\',
    '  --thresholds 0.3,0.5,0.7 --report /tmp/thresholds.html',
  ],
  async run(options, context) {
    const { output } = context
    metricsOf(options)
    await prepareResultFolders(options)
    await withCheckpoint(options, output, async (checkpoint) => {
      const [{ ablateThresholds }, { createCalibrator }, { savedCalibrator }] = await Promise.all([
        import('../../evaluation/index.js'),
        import('../../calibration/index.js'),
        import('../../pipeline/index.js'),
      ])
      const { confidence, calibrator } = options
      const newCalibrator = () =>
        savedCalibrator(checkpoint, { threshold: 'adaptive', confidence }) ?? createCalibrator(calibrator)
      newCalibrator()
      const data = await readData(options, checkpoint, output)
      const { endProgress, ...common } = evaluationOptions(options, checkpoint, { data, context })
      let result: AblationResult
      try {
        result = await ablateThresholds({
          ...common,
          loop: loopOptionsOf(options),
          thresholds: options.thresholds,
          losslessThreshold: options.lossless,
          createCalibrator: newCalibrator,
        })
      } finally {
        endProgress()
      }
      await show(result, output)
      if (!output.isJson) await showOutputs(result.adaptive?.outputs, options, output)
      await writeResults(result, { results: result, title: 'Thresholds', options, output })
    })
  },
})

/** Makes `ablate` with its subcommand. */
export function createCommand(environment: Environment): Command {
  const summary = 'measure what a setting does: sweeps over thresholds'
  return new Command('ablate')
    .summary(summary)
    .description(`${summary}.`)
    .addCommand(thresholdsCommand(environment))
}

async function show(result: AblationResult, output: Output): Promise<void> {
  if (output.isJson) return output.json(result)
  const { describeFindings, describeSetup, resultTable } = await import('../../report/index.js')
  const { rows, areaUnderCurve } = result
  const metrics = Object.keys(rows[0].quality)
  output.line(resultTable(result, { width: output.width, colour: output.hasColour, metrics }))
  output.line('')
  for (const sentence of describeFindings(result)) output.line(sentence)
  const areas = Object.entries(areaUnderCurve).map(
    ([name, area]) => `${name} ${area?.toFixed(3) ?? 'unknown'}`,
  )
  output.line(`Area under the quality/latency curve: ${areas.join(', ')}.`)
  output.line(describeSetup(rows[0]))
}
