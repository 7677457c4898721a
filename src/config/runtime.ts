// Options of where things come from and where they run, shared by the commands that decode, measure and train: data
// files and their columns, tasks, checkpoints, engine and backend. Shapes, to be spread into a command's own schema.
import { z } from 'zod'
import { decodingOptionsSchema } from './decoding.js'

const positive = z.number().int().positive()

/** Text that names a file. */
export const filePath = z.string().min(1).meta({ placeholder: 'file' })
/** Text that names a folder. */
export const folderPath = z.string().min(1).meta({ placeholder: 'folder' })

/** Which rows and columns of a data file to read. */
export const columnsShape = {
  sourceColumn: z
    .string()
    .default('source')
    .describe('column of the input text; several, comma-separated, are joined as "column: text"')
    .meta({ placeholder: 'name' }),
  targetColumn: z
    .string()
    .default('target')
    .describe('column of the wanted text; several, comma-separated, hold one reference each')
    .meta({ placeholder: 'name' }),
  jsonReferences: z.boolean().default(false).describe('target cells are JSON arrays of references'),
  skipBadRows: z
    .boolean()
    .default(false)
    .describe('leave out and count rows that cannot be used, instead of stopping'),
  limit: positive.optional().describe('read this many examples at most'),
}

/** A data file. */
export const dataPath = filePath.describe(
  'examples: .csv, .tsv, .jsonl or SQuAD .json, plain or gzipped, or .parquet; a folder or a quoted glob of such files',
)

const language = z.string().min(1).optional().meta({ placeholder: 'name' })

/** How examples are put to the model. */
export const taskShape = {
  task: z
    .string()
    .default('text2text')
    .describe('text2text, translation, summarization or question-answering: which prefix and metrics')
    .meta({ placeholder: 'name' }),
  prefix: z
    .string()
    .optional()
    .describe('put before each input; default: that of the task')
    .meta({ placeholder: 'text' }),
  sourceLanguage: language.describe(
    'translation: its source language, as "German"; with the other, makes T5\'s prefix',
  ),
  targetLanguage: language.describe('translation: its target language, as "English"'),
}

/** What computes. */
export const backendShape = {
  backend: z
    .string()
    .optional()
    .describe('wasm, node, node-gpu or cpu; default: the native one where it is built, else wasm')
    .meta({ placeholder: 'name' }),
  threads: positive.optional().describe('threads inside one operation; default: what the backend takes'),
}

/** Engines that can decode. */
export const ENGINE_NAMES = ['tfjs', 'onnx'] as const

export type EngineName = (typeof ENGINE_NAMES)[number]

/** Precisions in which an engine can compute: tfjs in the first one, and on wasm in the second. */
export const ENGINE_DTYPES = ['float32', 'int8', 'q4'] as const

export type EngineDtype = (typeof ENGINE_DTYPES)[number]

/**
 * Inputs of a matrix that share a float32 scale where its numbers have 8 or 4 bits. Blocks of 64 are a tenth faster in q4
 * and change no more choices, but ONNX Runtime then gives a position another result beside others than alone.
 */
export const BLOCK_SIZE = 32

/** Matrices that can stay in float32 where the others do not. Norms, position biases and the embedding table always do. */
export const MATRIX_GROUPS = ['head', 'encoder', 'attention', 'feed-forward', 'feed-forward-output'] as const

export type MatrixGroup = (typeof MATRIX_GROUPS)[number]

/** In what precision matrices are. */
export const precisionShape = {
  dtype: z
    .enum(ENGINE_DTYPES)
    .default('float32')
    .describe('precision; int8 is of onnx and of tfjs on wasm, q4 (4 bits) of onnx'),
  keepFloat: z
    .array(z.enum(MATRIX_GROUPS))
    .min(1)
    .optional()
    .describe(`in int8 and q4: stay in float32: ${MATRIX_GROUPS.join(', ')}`)
    .meta({ placeholder: 'names' }),
}

/** Which engine decodes, and on what. */
export const engineShape = {
  engine: z
    .enum(ENGINE_NAMES)
    .default('tfjs')
    .describe('what computes the layers; onnx needs the package onnxruntime-node'),
  ...backendShape,
  ...precisionShape,
}

/** Which checkpoint, and how long its inputs may be. */
export const checkpointShape = {
  checkpoint: folderPath.describe("a checkpoint's folder, or a training run's, whose best one is taken"),
  maxSourceLength: positive.default(512).describe('input tokens; longer inputs are cut and counted'),
}

const loop = decodingOptionsSchema.shape

/** Options of the decoding loop. */
export const loopShape = {
  maxNewTokens: loop.maxNewTokens,
  minNewTokens: loop.minNewTokens,
  noRepeatNgram: loop.noRepeatNgram,
  maxPending: loop.maxPending,
  confidence: loop.confidence,
}

/** Whether every flush gives evidence: of the commands that tell what it says. */
export const evidenceShape = { evidence: loop.evidence }

/** Policy, threshold, loop, and how tokens are taken from an exit. */
export const policyShape = {
  policy: loop.policy,
  exitLayer: loop.exitLayer,
  threshold: loop.threshold,
  rollbackBound: loop.rollbackBound,
  calibrator: loop.calibrator.meta({ placeholder: 'name' }),
  profit: loop.profit,
  flushAtEnd: loop.flushAtEnd,
  exactConfidence: loop.exactConfidence,
  ...loopShape,
  // Without a default, so that a bound that was asked for is told from none.
  maxPending: loop.maxPending
    .unwrap()
    .optional()
    .describe(`${loop.maxPending.description}; default: what profit picks, else none`),
  temperature: loop.temperature,
  topK: loop.topK,
  topP: loop.topP,
  seed: loop.seed,
  beams: loop.beams,
  lengthPenalty: loop.lengthPenalty,
  earlyStopping: loop.earlyStopping,
}

/**
 * For `superRefine` of a schema that contains decoding options among others: what they ask of each other, such as that
 * `exitLayer` belongs to `static` only.
 */
export function refineDecoding(value: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void {
  const own = Object.entries(value).filter(([key]) => key in loop)
  const { error } = decodingOptionsSchema.safeParse(Object.fromEntries(own))
  for (const { code, path, message } of error?.issues ?? []) {
    if (code === 'custom') context.addIssue({ code, path: [...path], message })
  }
}
