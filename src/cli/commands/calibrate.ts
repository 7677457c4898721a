// `shallowdeep calibrate`: decodes examples, fits a threshold to what it saw, and saves it with the checkpoint.
import { join } from 'node:path'
import { z } from 'zod'
import {
  betaMixtureOptionsSchema,
  checkpointShape,
  columnsShape,
  dataPath,
  engineShape,
  filePath,
  loopShape,
  taskShape,
} from '../../config/index.js'
import type { Calibration } from '../../calibration/index.js'
import { CHECKPOINT_GROUPS, loopOptionsOf, readData, withCheckpoint } from '../checkpointCommand.js'
import { defineCommand } from '../command.js'
import type { Output } from '../output.js'

const { sourceColumn, skipBadRows, limit } = columnsShape
const mixtureKeys = Object.keys(betaMixtureOptionsSchema.shape)

const schema = z
  .strictObject({
    ...checkpointShape,
    data: dataPath.describe('texts to decode; targets are not needed'),
    sourceColumn,
    skipBadRows,
    limit,
    ...taskShape,
    ...loopShape,
    ...engineShape,
    calibrator: z
      .enum(['beta-mixture'])
      .default('beta-mixture')
      .describe('what turns evidence into a threshold'),
    ...betaMixtureOptionsSchema.shape,
    output: filePath
      .optional()
      .describe('where the calibration goes; default calibration.json in the checkpoint'),
  })
  .superRefine((value, context) => {
    const own = Object.fromEntries(Object.entries(value).filter(([key]) => mixtureKeys.includes(key)))
    for (const { code, path, message } of betaMixtureOptionsSchema.safeParse(own).error?.issues ?? []) {
      if (code === 'custom') context.addIssue({ code, path: [...path], message })
    }
  })

export const createCommand = defineCommand({
  name: 'calibrate',
  summary: 'find the threshold for a checkpoint and save it there',
  schema,
  groups: { ...CHECKPOINT_GROUPS, 'Calibrator:': ['calibrator', ...mixtureKeys], 'Output:': ['output'] },
  examples: [
    'shallowdeep calibrate --checkpoint checkpoints/translation-de-en \\',
    '  --data datasets/translation_de_en/test.csv --output /tmp/calibration.json',
  ],
  async run(options, context) {
    const { output, signal } = context
    await withCheckpoint(options, output, async (checkpoint) => {
      const [{ calibrateOn }, { replaceFile }] = await Promise.all([
        import('../../evaluation/index.js'),
        import('../../checkpoint/index.node.js'),
      ])
      const data = await readData({ ...options, hasTarget: false }, checkpoint, output)
      const progress = output.progress({ label: 'decoding', total: data.examples.length })
      let calibration: Calibration
      try {
        calibration = await calibrateOn({
          engine: checkpoint.engine,
          sources: data.examples.map(({ source }) => source),
          calibrator: options.calibrator,
          calibratorOptions: Object.fromEntries(
            Object.entries(options).filter(([key]) => mixtureKeys.includes(key)),
          ),
          loop: loopOptionsOf(options),
          onExample: (numDone) => progress.update(numDone),
          signal,
        })
      } finally {
        progress.end()
      }
      const path = options.output ?? join(checkpoint.folder, 'calibration.json')
      await replaceFile(path, `${JSON.stringify(calibration, null, 2)}\n`)
      await show(calibration, path, output)
    })
  },
})

async function show(calibration: Calibration, path: string, output: Output): Promise<void> {
  if (output.isJson) return output.json(calibration)
  const { describeCalibration } = await import('../../report/index.js')
  for (const sentence of describeCalibration(calibration)) output.line(sentence)
  output.line(`${path}: threshold ${calibration.threshold.toFixed(4)}`)
}
