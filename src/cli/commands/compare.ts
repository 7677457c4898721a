// `shallowdeep compare`: two runs over the same examples, with intervals and p-values.
import { z } from 'zod'
import { bootstrapShape, columnsShape, dataPath, taskShape } from '../../config/index.js'
import { ShallowDeepError } from '../../errors.js'
import type { Comparison } from '../../evaluation/index.js'
import { defineCommand } from '../command.js'
import { measureShape, metricsOf } from '../evaluationCommand.js'
import { EXIT } from '../failure.js'
import type { Output } from '../output.js'

const schema = z.strictObject({
  data: dataPath
    .optional()
    .describe('examples with references; not needed where .json results hold them (evaluate --output)'),
  ...columnsShape,
  limit: columnsShape.limit.describe('compare this many at most, from the start of all files'),
  task: taskShape.task.describe('text2text, translation, summarization or question-answering: which metrics'),
  metrics: measureShape.metrics,
  ...bootstrapShape,
  minRatio: z
    .number()
    .positive()
    .optional()
    .describe(
      "exit with code 3 where B's share of A's first metric may be below this: the low end of its interval is",
    ),
})

export const createCommand = defineCommand({
  name: 'compare',
  summary: 'test how much of the quality of run A run B keeps',
  argument: {
    name: '[runs...]',
    description:
      'A and B, B is held against A: predictions (a text a line, or .jsonl as evaluate --predictions and ' +
      'generate --json write it), or .json of evaluate --output with all outputs',
  },
  schema,
  groups: {
    'Input:': ['data', ...Object.keys(columnsShape)],
    'Metrics:': ['task', 'metrics', ...Object.keys(bootstrapShape)],
    'Gate:': ['minRatio'],
  },
  examples: [
    'shallowdeep evaluate --checkpoint checkpoints/translation-de-en --task translation \\',
    '  --data datasets/translation_de_en/test.csv --target-column target_1,target_2 \\',
    '  --policy full --predictions /tmp/full.jsonl',
    '# the same with --policy free --predictions /tmp/free.jsonl, then',
    'shallowdeep compare /tmp/full.jsonl /tmp/free.jsonl --task translation \\',
    '  --data datasets/translation_de_en/test.csv --target-column target_1,target_2 --min-ratio 0.99',
  ],
  async run(options, { output, args }) {
    const { resamples, level, seed, minRatio } = options
    const [baseline, candidate] = twoRuns(args)
    const metrics = metricsOf(options)
    const { compareFiles } = await import('../../pipeline/index.node.js')
    const bootstrap = { numResamples: resamples, level, seed }
    const { numSkipped, ...comparison } = await compareFiles({
      ...options,
      baseline,
      candidate,
      metrics,
      bootstrap,
    })
    if (numSkipped > 0) output.warn(`${numSkipped} rows could not be used and were left out`)
    if (output.isJson) output.json(comparison)
    else {
      const { comparisonTable } = await import('../../report/index.js')
      output.line(comparisonTable(comparison, { level, width: output.width, colour: output.hasColour }))
    }
    return checkGate(comparison, minRatio, output)
  },
})

function twoRuns(args: readonly string[]): readonly string[] {
  if (args.length === 2) return args
  throw new ShallowDeepError({
    code: 'cli.two-runs',
    message: `expected two runs to compare, A and B, got ${args.length}`,
    hint: 'shallowdeep compare --help shows what a run may be',
    details: { args },
  })
}

function checkGate({ quality }: Comparison, minRatio: number | undefined, output: Output): number {
  if (minRatio === undefined) return EXIT.done
  const [[metric, { ratio }]] = Object.entries(quality)
  // Without an interval nothing is known of the ratio's low end, and a gate that cannot be checked is not met.
  const low = ratio?.low ?? null
  if (low !== null && low >= minRatio) return EXIT.done
  output.warn(
    low === null
      ? `gate not met: the ratio of ${metric} has no interval`
      : `gate not met: the ratio of ${metric} may be as low as ${low}, below ${minRatio}`,
  )
  return EXIT.gate
}
