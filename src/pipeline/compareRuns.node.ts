// From files to a comparison: what two runs left, against the references of a data file.
import { readFile } from 'node:fs/promises'
import { readAllExamples, readPredictions, type ReadOptions } from '../data/index.node.js'
import { ShallowDeepError } from '../errors.js'
import {
  compareRuns,
  parseEvaluationResult,
  type ComparedRun,
  type Comparison,
  type EvaluationResult,
} from '../evaluation/index.js'
import type { BootstrapOptions, Metric } from '../metrics/index.js'
import { requireOneEach } from './scorePredictions.node.js'

export interface CompareFilesOptions extends ReadOptions {
  /** What the run that others are held against left, and what the other one left; see {@link compareFiles}. */
  readonly baseline: string
  readonly candidate: string
  /** The data file that holds the references. Neutral: undefined, those in the runs' own files. */
  readonly data?: string
  readonly metrics: readonly Metric[]
  readonly bootstrap?: BootstrapOptions
}

/** A comparison, and which files it is of. */
export interface FileComparison extends Comparison {
  readonly baseline: string
  readonly candidate: string
  /** Rows of the data file that were left out. */
  readonly numSkipped: number
}

/** A run, and the references where its file holds them. */
interface StoredRun extends ComparedRun {
  readonly references?: readonly (readonly string[])[]
}

/**
 * Compares two runs by what they left: files of predictions as `readPredictions` reads them (JSON lines of
 * `evaluate --predictions` hold times, too), or `.json` results of `evaluate --output` that hold all outputs.
 * Throws what reading either form throws, `data.prediction-count`, `evaluation.unreadable-result`,
 * `evaluation.missing-outputs`, `evaluation.no-references` and `evaluation.other-references`.
 */
export async function compareFiles(options: CompareFilesOptions): Promise<FileComparison> {
  const { baseline, candidate, limit, metrics, bootstrap } = options
  const a = await readStoredRun(baseline)
  const b = await readStoredRun(candidate)
  const runs = [cut(a, limit), cut(b, limit)] as const
  const references = await referencesFor(runs, options)
  for (const [i, path] of [baseline, candidate].entries()) {
    requireOneEach(runs[i].predictions, references.lists, { path, ...references })
  }
  const comparison = compareRuns({
    baseline: runs[0],
    candidate: runs[1],
    references: references.lists,
    metrics,
    bootstrap,
  })
  return { baseline, candidate, numSkipped: references.numSkipped, ...comparison }
}

async function readStoredRun(path: string): Promise<StoredRun> {
  if (!/\.json$/i.test(path)) return { predictions: await readPredictions(path) }
  const { examples, latency, outputs = [] } = await readResult(path)
  if (outputs.length !== examples) {
    throw new ShallowDeepError({
      code: 'evaluation.missing-outputs',
      message: `${path} holds ${outputs.length} of the ${examples} outputs, a comparison needs all`,
      hint: `evaluate again with --examples ${examples}, or with --predictions and compare those files`,
      details: { path, outputs: outputs.length, examples },
    })
  }
  return {
    predictions: outputs.map(({ text }) => ({ text })),
    references: outputs.map(({ references }) => references),
    msPerTokenMean: latency.msPerTokenMean,
  }
}

async function readResult(path: string): Promise<EvaluationResult> {
  let json: unknown
  try {
    json = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new ShallowDeepError({
      code: 'evaluation.unreadable-result',
      message: `${path}: expected the JSON of evaluate --output (${(cause as Error).message})`,
      hint: 'predictions are a text a line in a .txt file, or an object a line in a .jsonl file',
      details: { path },
      cause,
    })
  }
  return parseEvaluationResult(json, path)
}

function cut(run: StoredRun, limit: number | undefined): StoredRun {
  return { ...run, predictions: run.predictions.slice(0, limit), references: run.references?.slice(0, limit) }
}

/** References of each example, the file they are from, and how many of its rows were left out. */
interface References {
  readonly lists: readonly (readonly string[])[]
  readonly data: string
  readonly numSkipped: number
}

/** The references of the data file, else those that the runs hold. */
async function referencesFor(
  [a, b]: readonly [StoredRun, StoredRun],
  options: CompareFilesOptions,
): Promise<References> {
  const { data, baseline, candidate } = options
  if (data !== undefined) {
    const { examples, report } = await readAllExamples(data, options)
    return { lists: examples.map(({ targets }) => targets), data, numSkipped: report.numSkipped }
  }
  const lists = a.references ?? b.references
  if (lists === undefined) {
    throw new ShallowDeepError({
      code: 'evaluation.no-references',
      message: `${baseline} and ${candidate} hold predictions only, a comparison needs references too`,
      hint: 'name the data file with --data',
    })
  }
  if (a.references && b.references && JSON.stringify(a.references) !== JSON.stringify(b.references)) {
    throw new ShallowDeepError({
      code: 'evaluation.other-references',
      message: `${baseline} and ${candidate} are of different examples: their references differ`,
      hint: 'evaluate both on the same rows of the same file',
    })
  }
  return { lists, data: a.references ? baseline : candidate, numSkipped: 0 }
}
