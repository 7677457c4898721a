// What the commands that measure share: their options, the progress bar, and reports of results.
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { dirname, extname, join, parse } from 'node:path'
import { z } from 'zod'
import { evidenceShape, filePath } from '../config/index.js'
import { taskByName } from '../data/index.js'
import { ShallowDeepError } from '../errors.js'
import type { EvaluationData } from '../pipeline/index.node.js'
import type { EvaluatedOutput, EvaluationOptions } from '../evaluation/index.js'
import { METRIC_NAMES, metricByName } from '../metrics/index.js'
import type { OpenedCheckpoint } from '../pipeline/index.node.js'
import type { ReportedResults } from '../report/index.js'
import type { CommandContext } from './command.js'
import type { Output } from './output.js'
import { ownCommandLine } from './shell.js'

/** Options of what is measured and where it goes. */
export const measureShape = {
  metrics: z
    .array(z.string())
    .min(1)
    .optional()
    .describe(`${METRIC_NAMES.join(', ')}; default: those of the task`)
    .meta({ placeholder: 'names' }),
  warmUp: z
    .number()
    .int()
    .nonnegative()
    .default(3)
    .describe('examples decoded under every setting before time counts'),
  ...evidenceShape,
  examples: z
    .number()
    .int()
    .positive()
    .nullable()
    .default(8)
    .describe(
      'outputs that --report and --output hold, with their sources; null where texts must not be passed on',
    ),
  showOutputs: z
    .number()
    .int()
    .nonnegative()
    .default(0)
    .describe('show the first outputs here, each token by its exit; at most as many as examples'),
  output: filePath.optional().describe('write the result there as JSON'),
  report: filePath
    .refine((path) => ['.html', '.md'].includes(extname(path)), 'must end in .html or .md')
    .optional()
    .describe('write a report with plots there: .html, or .md with the plots in files beside it'),
}

/** Headings of --help for {@link measureShape}. */
export const MEASURE_GROUPS = {
  'Measurement:': ['metrics', 'warmUp', 'evidence', 'examples', 'showOutputs', 'output', 'report'],
} satisfies Readonly<Record<string, readonly string[]>>

interface MeasureOptions {
  readonly checkpoint: string
  readonly data: string
  readonly task: string
  readonly metrics?: readonly string[]
  readonly warmUp: number
  readonly examples: number | null
  readonly showOutputs: number
  readonly output?: string
  readonly report?: string
}

/** What every evaluation is called with, and the end of its progress bar. */
export function evaluationOptions(
  options: MeasureOptions,
  { tokenizer, engine }: OpenedCheckpoint,
  { data, context }: { readonly data: EvaluationData; readonly context: CommandContext },
): EvaluationOptions & { readonly endProgress: () => void } {
  const progress = context.output.progress({ label: 'decoding', total: data.examples.length })
  const isKept = options.report !== undefined || options.output !== undefined || options.showOutputs > 0
  return {
    engine,
    examples: data.examples,
    metrics: metricsOf(options),
    toText: (tokens) => tokenizer.decode(tokens),
    warmUp: options.warmUp,
    numOutputs: isKept ? (options.examples ?? 0) : 0,
    signal: context.signal,
    onExample: (numDone) => progress.update(numDone),
    endProgress: () => progress.end(),
  }
}

/** Makes the folders that results will be written into, so that a measurement is not lost for want of one. */
export async function prepareResultFolders(
  options: Pick<MeasureOptions, 'output' | 'report'> & { readonly predictions?: string },
): Promise<void> {
  for (const path of [options.output, options.report, options.predictions]) {
    if (path === undefined) continue
    try {
      await mkdir(dirname(path), { recursive: true })
    } catch (cause) {
      throw new ShallowDeepError({
        code: 'evaluation.unwritable-result',
        message: `${path}: its folder cannot be made (${cause instanceof Error ? cause.message : String(cause)})`,
        hint: 'name a file in a folder that can be written',
        details: { path },
        cause,
      })
    }
  }
}

/** Shows the first outputs with each token by its exit. */
export async function showOutputs(
  outputs: readonly EvaluatedOutput[] | undefined,
  options: Pick<MeasureOptions, 'showOutputs'>,
  output: Output,
): Promise<void> {
  const shown = outputs?.slice(0, options.showOutputs) ?? []
  if (shown.length === 0) return
  const { exitLegend, tokenView } = await import('../report/index.js')
  const colour = output.hasColour
  output.line('')
  output.line(
    exitLegend(
      shown.flatMap(({ tokens }) => tokens),
      { colour },
    ),
  )
  for (const example of shown) {
    output.line('')
    output.line(example.source)
    output.line(tokenView(example, { width: output.width, colour, indent: 2 }))
  }
}

/** The metrics asked for, else those of the task. Throws `metrics.unknown-metric` and `data.unknown-task`. */
export function metricsOf({ metrics, task }: Pick<MeasureOptions, 'metrics' | 'task'>) {
  return (metrics ?? taskByName(task).metrics).map(metricByName)
}

/** Writes the result as JSON and as a report, as far as they were asked for. */
export async function writeResults(
  result: unknown,
  job: {
    readonly results: ReportedResults
    readonly title: string
    readonly options: MeasureOptions
    readonly output: Output
  },
): Promise<void> {
  const { results, title, options, output } = job
  if (options.output !== undefined) {
    await writeFile(options.output, `${JSON.stringify(result, null, 2)}\n`)
    output.note(`wrote ${options.output}`)
  }
  const { report: path } = options
  if (path === undefined) return
  const { htmlReport, markdownReport } = await import('../report/index.js')
  const input = {
    title,
    results,
    examples: options.examples ?? ('none' as const),
    provenance: {
      checkpoint: options.checkpoint,
      data: options.data,
      command: ownCommandLine(),
      date: new Date().toISOString().slice(0, 10),
      machine: `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.versions.node}`,
    },
  }
  if (extname(path) === '.html') {
    await writeFile(path, await htmlReport(input))
  } else {
    const { markdown, files } = await markdownReport(input, { plotPrefix: `${parse(path).name}-` })
    await writeFile(path, markdown)
    for (const [name, svg] of Object.entries(files)) await writeFile(join(dirname(path), name), svg)
  }
  output.note(`wrote ${path}`)
}
