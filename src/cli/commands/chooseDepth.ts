// `shallowdeep choose-depth`: which decoder layer the shallow exit should come after, measured on validation data.
import { z } from 'zod'
import {
  checkpointShape,
  columnsShape,
  dataPath,
  depthOptionsSchema,
  engineShape,
  loopShape,
  taskShape,
} from '../../config/index.js'
import type { DepthChoice } from '../../evaluation/index.js'
import { CHECKPOINT_GROUPS, readData, withCheckpoint } from '../checkpointCommand.js'
import { defineCommand } from '../command.js'

const schema = z.strictObject({
  ...checkpointShape,
  data: dataPath.describe('validation examples; targets are needed along references only'),
  ...columnsShape,
  limit: z.number().int().positive().default(100).describe('read this many examples at most'),
  ...taskShape,
  along: z
    .enum(['output', 'references'])
    .default('output')
    .describe(
      "what the exits are compared along: the model's own full output, or the first references, for a model that does not do the task yet",
    ),
  maxNewTokens: loopShape.maxNewTokens,
  ...depthOptionsSchema.shape,
  ...engineShape,
})

export const createCommand = defineCommand({
  name: 'choose-depth',
  summary: 'find the decoder layer after which a shallow exit gains most',
  schema,
  groups: {
    ...CHECKPOINT_GROUPS,
    'Depth:': ['along', 'maxNewTokens', ...Object.keys(depthOptionsSchema.shape)],
  },
  examples: [
    'shallowdeep choose-depth --checkpoint checkpoints/translation-de-en \\',
    '  --data datasets/translation_de_en/test.csv --task translation --limit 20',
  ],
  async run(options, { output, signal }) {
    const { along, maxNewTokens, minAgreement, minEvidence, thresholds, confidence } = options
    await withCheckpoint(options, output, async (checkpoint) => {
      const [{ chooseDepth }, { encodeText }] = await Promise.all([
        import('../../pipeline/index.js'),
        import('../../data/index.js'),
      ])
      const isForced = along === 'references'
      const { examples } = await readData({ ...options, hasTarget: isForced }, checkpoint, output)
      const progress = output.progress({ label: 'comparing exits', total: examples.length })
      let choice: DepthChoice
      try {
        choice = await chooseDepth({
          engine: checkpoint.engine,
          sources: examples.map(({ source }) => source),
          targets: isForced
            ? examples.map(
                ({ references }) => encodeText(checkpoint.tokenizer, references[0], maxNewTokens).ids,
              )
            : undefined,
          maxNewTokens,
          minAgreement,
          minEvidence,
          thresholds,
          confidence,
          onExample: (numDone) => progress.update(numDone),
          signal,
        })
      } finally {
        progress.end()
      }
      if (output.isJson) return output.json(choice)
      const { depthTable } = await import('../../report/index.js')
      output.line(depthTable(choice, { width: output.width, colour: output.hasColour }))
    })
  },
})
