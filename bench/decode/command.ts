// `npm run bench -- decode`: engines x precisions x policies x shapes, and exit rates that no model was trained for.
import { z } from 'zod'
import { defineCommand } from '../../src/cli/command.js'
import {
  columnsShape,
  dataPath,
  ENGINE_DTYPES,
  filePath,
  folderPath,
  taskShape,
} from '../../src/config/index.js'
import { ShallowDeepError } from '../../src/errors.js'
import { thisMachine } from '../machine.js'
import { writeResult } from '../output.js'
import type { CellResult } from './cellResult.js'
import { BENCH_POLICIES, ENGINE_TARGETS, planCells, planEngines, type EngineSpec } from './plan.js'
import { SHAPE_NAMES, shapeConfig, type ShapeName } from './shapes.js'

const positive = z.number().int().positive()
const share = z.number().min(0).max(1)
const names = { placeholder: 'names' }
const numbers = { placeholder: 'n,n' }

const schema = z
  .strictObject({
    shapes: z
      .array(z.enum(SHAPE_NAMES))
      .min(1)
      .optional()
      .describe(`models with random weights: ${SHAPE_NAMES.join(', ')}; default: t5-small`)
      .meta(names),
    checkpoint: folderPath.optional().describe('a trained model in place of shapes'),
    data: dataPath.optional().describe('with a checkpoint: where its sources come from'),
    sourceColumn: columnsShape.sourceColumn,
    task: taskShape.task,
    limit: columnsShape.limit,
    maxSourceLength: positive.default(512).describe('with a checkpoint: longer sources are cut'),
    shallowLayers: positive
      .optional()
      .describe("the shallow exit comes after this layer; default: the model's own"),
    sourceLength: z.number().int().min(2).default(32).describe('with shapes: tokens of a source'),
    tokens: positive
      .default(64)
      .describe("tokens of an output; with a checkpoint's own exits at most so many"),
    engines: z
      .array(z.enum(ENGINE_TARGETS))
      .min(1)
      .default([...ENGINE_TARGETS])
      .describe(`what decodes: ${ENGINE_TARGETS.join(', ')}`)
      .meta(names),
    dtypes: z
      .array(z.enum(ENGINE_DTYPES))
      .min(1)
      .default([...ENGINE_DTYPES])
      .describe(`precisions, where an engine has them: ${ENGINE_DTYPES.join(', ')}`)
      .meta(names),
    threads: z
      .array(positive)
      .min(1)
      .default([2])
      .describe('numbers of threads of an operation; tfjs takes the first')
      .meta(numbers),
    policies: z
      .array(z.enum(BENCH_POLICIES))
      .min(1)
      .default([...BENCH_POLICIES])
      .describe(`full, which is always measured, and: ${BENCH_POLICIES.slice(1).join(', ')}`)
      .meta(names),
    exitShares: z
      .array(share)
      .min(1)
      .optional()
      .describe(
        'free and lossless: replayed shares of tokens that leave; default: with shapes 0,0.25,0.5,0.75,0.9, with a checkpoint its own exits',
      )
      .meta(numbers),
    trace: filePath
      .optional()
      .describe('free and lossless: replay the exits of a file that generate --json wrote'),
    agreement: share
      .default(1)
      .describe(
        'with exit shares: how often the deep exit agrees with a draft; below 1 lossless takes drafts back',
      ),
    profit: z
      .enum(['off', 'measured'])
      .default('off')
      .describe('measured: free and lossless decode as full where that is cheaper, by the profit rule'),
    threshold: z
      .union([share, z.literal('calibrated')])
      .default('calibrated')
      .describe("of a checkpoint's own exits: a number or calibrated"),
    batchSizes: z.array(positive).min(1).default([1]).describe('sequences decoded together').meta(numbers),
    rounds: positive.default(5).describe('rounds; in each every cell decodes once'),
    warmUp: positive.default(1).describe('rounds before, which do not count'),
    seed: z.number().int().nonnegative().default(1).describe('of weights, sources and exits'),
    bandwidth: z
      .number()
      .positive()
      .optional()
      .describe('GB/s that bounds are computed with; default: measured first'),
    markdown: z.boolean().default(false).describe('the table as Markdown'),
    output: filePath.optional().describe('write the result there too, as JSON'),
  })
  .superRefine(({ checkpoint, data, shapes, trace, exitShares }, context) => {
    const wrong = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message })
    if (checkpoint !== undefined && data === undefined) wrong('checkpoint', 'needs data for its sources')
    if (checkpoint === undefined && data !== undefined) wrong('data', 'belongs to a checkpoint')
    if (checkpoint !== undefined && shapes !== undefined) wrong('shapes', 'are in place of a checkpoint')
    if (trace !== undefined && exitShares !== undefined) wrong('trace', 'is in place of exit shares')
  })

type Options = z.output<typeof schema>

const DEFAULT_SHARES = [0, 0.25, 0.5, 0.75, 0.9]

export const createCommand = defineCommand({
  name: 'decode',
  summary: 'decoding speed by engine, precision, policy and shape, at any exit rate',
  schema,
  groups: {
    'Models:': [
      ...['shapes', 'checkpoint', 'data', 'sourceColumn', 'task', 'limit', 'maxSourceLength'],
      ...['shallowLayers', 'sourceLength', 'tokens'],
    ],
    'Cells:': ['engines', 'dtypes', 'threads', 'policies', 'batchSizes'],
    'Exits:': ['exitShares', 'trace', 'agreement', 'threshold', 'profit'],
  },
  examples: [
    'npm run bench -- decode --shapes tiny --engines onnx --dtypes q4 --exit-shares 0,0.9 --tokens 16 --rounds 2',
  ],
  async run(options, { output, signal }) {
    const { engines, leftOut } = planEngines(options)
    for (const reason of leftOut) output.note(`left out: ${reason}`)
    if (engines.length === 0) throw noEngine(leftOut)
    const [{ benchModel, checkEngines }, { readTrace }] = await Promise.all([
      import('./runBench.js'),
      import('./exitTrace.js'),
    ])
    // Refuses a shape without such a layer while nothing has been done.
    for (const name of shapesOf(options)) shapeConfig(name, options.shallowLayers)
    const trace = options.trace === undefined ? undefined : await readTrace(options.trace)
    await checkEngines(engines)
    const { rows: bandwidth, bandwidthOf } = await bandwidthFor(
      options,
      engines.map(({ threads }) => threads),
    )
    const { tokens, rounds, warmUp, seed, agreement, policies, batchSizes } = options
    const isOwn = options.checkpoint !== undefined && options.exitShares === undefined
    const exits = trace
      ? (['trace'] as const)
      : isOwn
        ? (['model'] as const)
        : (options.exitShares ?? DEFAULT_SHARES)
    const cells = planCells({ policies, exits, batchSizes })
    const rows: CellResult[] = []
    for await (const model of modelsOf(options, engines[0])) {
      const progress = output.progress({ label: model.name, total: rounds })
      try {
        const measured = await benchModel(model, {
          ...{ engines, cells, tokens, rounds, warmUp, seed, agreement, trace, bandwidthOf, signal },
          usesProfit: options.profit === 'measured',
          onProgress: (what, numDone) => progress.update(numDone, [what]),
        })
        rows.push(...measured)
      } finally {
        progress.end()
      }
    }
    const bandwidths = Object.fromEntries(engines.map(({ threads }) => [threads, bandwidthOf(threads)]))
    const { decodeTable, describeCommon, describeMeasurement } = await import('./decodeTable.js')
    const common = describeCommon(rows)
    if (!output.isJson && !options.markdown) output.line(common)
    await writeResult(
      { machine: thisMachine(), bandwidth, rows },
      {
        output,
        file: options.output,
        markdown: options.markdown,
        table: decodeTable(rows),
        remarks: [
          ...(options.markdown ? [`All rows: ${common}.`] : []),
          ...describeMeasurement(rows, { agreement, bandwidths, usesProfit: options.profit === 'measured' }),
        ],
      },
    )
  },
})

/** The shapes to measure; none beside a checkpoint. */
function shapesOf({ checkpoint, shapes = ['t5-small'] }: Options): readonly ShapeName[] {
  return checkpoint === undefined ? shapes : []
}

/** The models, one after the other, so that one's weights are gone before the next one's are made. */
async function* modelsOf(options: Options, first: EngineSpec) {
  const { randomModel, trainedModel } = await import('./benchModel.js')
  const { checkpoint, data } = options
  if (checkpoint !== undefined) {
    yield await trainedModel(checkpoint, { ...options, data: data!, first })
    return
  }
  for (const name of shapesOf(options)) yield randomModel(name, options)
}

/** GB/s by number of threads, as given or as measured. */
async function bandwidthFor({ bandwidth }: Options, threads: readonly number[]) {
  if (bandwidth !== undefined) return { rows: [], bandwidthOf: () => bandwidth }
  const { bestBandwidth, measureBandwidth } = await import('../bandwidth/measure.js')
  const counts = [...new Set([1, ...threads])].sort((a, b) => a - b)
  const rows = await measureBandwidth({ threads: counts })
  return { rows, bandwidthOf: (count: number) => bestBandwidth(rows, count) }
}

function noEngine(leftOut: readonly string[]): ShallowDeepError {
  return new ShallowDeepError({
    code: 'bench.no-engine',
    message: `no engine is left to measure (${leftOut.join('; ')})`,
    hint: 'add onnx to --engines or float32 to --dtypes',
  })
}
