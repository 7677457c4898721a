// What the commands that run a checkpoint share: their options, and how they open it and read data.
import {
  columnsShape,
  engineShape,
  policyShape,
  taskShape,
  type EngineDtype,
  type EngineName,
  loopOptionsSchema,
  type LoopOptionsInput,
  type MatrixGroup,
} from '../config/index.js'
import type { BackendName } from '../engines/tfjs/index.js'
import type { OpenedCheckpoint } from '../pipeline/index.node.js'
import type { EvaluationData, ReadEvaluationOptions } from '../pipeline/index.node.js'
import type { Output } from './output.js'

/** Headings of --help for the keys of the shared shapes. */
export const CHECKPOINT_GROUPS = {
  'Input:': [
    'checkpoint',
    'data',
    ...Object.keys(columnsShape),
    ...Object.keys(taskShape),
    'maxSourceLength',
  ],
  'Decoding:': [...Object.keys(policyShape), 'batchSize'],
  'Engine:': Object.keys(engineShape),
} satisfies Readonly<Record<string, readonly string[]>>

/** Which checkpoint, and on what. */
interface CheckpointOptions {
  readonly checkpoint: string
  readonly engine: EngineName
  readonly backend?: string
  readonly threads?: number
  readonly dtype: EngineDtype
  readonly keepFloat?: readonly MatrixGroup[]
}

/** Opens the checkpoint that options name and hands it to `use`; frees it afterwards. */
export async function withCheckpoint<T>(
  { checkpoint: path, engine, backend, threads, dtype, keepFloat }: CheckpointOptions,
  output: Output,
  use: (checkpoint: OpenedCheckpoint) => Promise<T>,
): Promise<T> {
  const { openCheckpoint } = await import('../pipeline/index.node.js')
  const checkpoint = await openCheckpoint(path, {
    engine,
    backend: backend as BackendName | undefined,
    threads,
    dtype,
    keepFloat,
  })
  try {
    output.note(`${checkpoint.folder} on ${checkpoint.backend.name} (${checkpoint.backend.reason})`)
    return await use(checkpoint)
  } finally {
    checkpoint.dispose()
  }
}

/** Reads examples to evaluate, and warns of what was cut or left out. */
export async function readData(
  options: Omit<ReadEvaluationOptions, 'tokenizer'> & { readonly data: string },
  { tokenizer }: OpenedCheckpoint,
  output: Output,
): Promise<EvaluationData> {
  const { readEvaluationExamples } = await import('../pipeline/index.node.js')
  const data = await readEvaluationExamples(options.data, { ...options, tokenizer })
  warnOfCuts(
    { truncatedSources: data.truncatedSources, skippedRows: data.report.numSkipped },
    options,
    output,
  )
  return data
}

/** Warns of inputs that were cut and rows that were left out. */
export function warnOfCuts(
  counts: { readonly truncatedSources: number; readonly skippedRows: number },
  { maxSourceLength }: { readonly maxSourceLength: number },
  output: Output,
): void {
  const { truncatedSources, skippedRows } = counts
  if (truncatedSources > 0) output.warn(`${truncatedSources} inputs were cut to ${maxSourceLength} tokens`)
  if (skippedRows > 0) output.warn(`${skippedRows} rows could not be used and were left out`)
}

/** The options of the decoding loop among those of a command. */
export function loopOptionsOf(options: LoopOptionsInput): LoopOptionsInput {
  const names = Object.keys(loopOptionsSchema.shape) as (keyof LoopOptionsInput)[]
  return Object.fromEntries(names.map((name) => [name, options[name]]))
}
