// The folder of a training run beside its checkpoints (checkpoint/ and training/ own those): `config.yaml`, the resolved
// options; `data.json`, which examples they are; `log.jsonl`. Also the checks that keep one run from becoming another.
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { stringify } from 'yaml'
import type { JsonObject } from '../checkpoint/index.js'
import { readRun, replaceFile, RUN_INDEX_FILE } from '../checkpoint/index.node.js'
import type { ModelConfig, RunConfig } from '../config/index.js'
import { loadConfigFile, type ConfigFile } from '../config/index.node.js'
import type { EncodedExample } from '../data/index.js'
import { ShallowDeepError } from '../errors.js'

const CONFIG_FILE = 'config.yaml'
const DATA_FILE = 'data.json'

/** Path of a run's log. */
export function logPathOf(output: string): string {
  return join(output, 'log.jsonl')
}

/** The commands that begin runs. */
export type RunCommand = 'train' | 'finetune'

/**
 * Reads the options that a run was begun with, for resuming it by the command that began it. Throws
 * `training.nothing-to-resume` where there is no run, or one without a checkpoint, and `training.other-command`.
 */
export async function readRunOptions(output: string, command: RunCommand): Promise<ConfigFile> {
  const run = existsSync(join(output, RUN_INDEX_FILE)) ? await readRun(output) : undefined
  if (run?.last() === undefined) {
    throw new ShallowDeepError({
      code: 'training.nothing-to-resume',
      message: `${output} holds no ${run ? 'checkpoint' : 'training run'} to resume from`,
      hint: 'leave out --resume to begin a run there',
      details: { output },
    })
  }
  const stored = await loadConfigFile(join(output, CONFIG_FILE))
  const begunBy: RunCommand = 'from' in stored.values ? 'finetune' : 'train'
  if (begunBy === command) return stored
  throw new ShallowDeepError({
    code: 'training.other-command',
    message: `${output} holds a run of ${begunBy}, not of ${command}`,
    hint: `resume it with shallowdeep ${begunBy} --resume`,
    details: { output, begunBy },
  })
}

/** Options that name files or folders. */
const PATH_KEYS = ['data', 'validation', 'tokenizer', 'from'] as const

/** What config.yaml holds: usable with --config for another run, from any folder. */
function storedOptions({ output: _output, resume: _resume, ...config }: RunConfig): JsonObject {
  const options: Record<string, unknown> = config
  const absolute = PATH_KEYS.flatMap((key) => {
    const path = options[key]
    return typeof path === 'string' ? [[key, resolve(path)]] : []
  })
  return { ...options, ...Object.fromEntries(absolute) }
}

/** Writes the options and the identity of the examples into a run's folder. */
export async function writeRunFiles(
  output: string,
  config: RunConfig,
  examples: readonly EncodedExample[],
): Promise<void> {
  await replaceFile(join(output, CONFIG_FILE), stringify(storedOptions(config)))
  const data = { numExamples: examples.length, digest: digestOf(examples) }
  await replaceFile(join(output, DATA_FILE), `${JSON.stringify(data)}\n`)
}

/** Tells data sets apart by what is learnt from them: the token ids, in order. */
function digestOf(examples: readonly EncodedExample[]): string {
  const hash = createHash('sha256')
  for (const { source, target } of examples) {
    hash.update(Int32Array.of(source.length, target.length)).update(source).update(target)
  }
  return hash.digest('hex')
}

/** Throws `training.run-exists` and `training.folder-in-use`: a new run begins in a folder of its own. */
export async function refuseUsedFolder(output: string): Promise<void> {
  const names = await readdir(output).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const hasRun = names.includes(RUN_INDEX_FILE)
  const last = hasRun ? (await readRun(output)).last() : undefined
  if (last !== undefined) {
    throw new ShallowDeepError({
      code: 'training.run-exists',
      message: `${output} holds a training run already (last checkpoint ${last})`,
      hint: 'add --resume to go on with it, or name another --output',
      details: { output, last },
    })
  }
  if (hasRun || names.length === 0) return
  throw new ShallowDeepError({
    code: 'training.folder-in-use',
    message: `${output} is not empty and holds no training run`,
    hint: 'name a new folder as --output',
    details: { output },
  })
}

/** Throws `training.changed-config` where a resumed run is to have a model of another shape. `wanted`: what is asked of it. */
export function refuseOtherShape(wanted: Partial<ModelConfig>, saved: ModelConfig): void {
  const keys = (Object.keys(wanted) as (keyof ModelConfig)[]).filter(
    (key) => wanted[key] !== undefined && wanted[key] !== saved[key],
  )
  if (keys.length === 0) return
  throw new ShallowDeepError({
    code: 'training.changed-config',
    message: `the run has a model of another shape: ${keys.map((key) => `${key} ${saved[key]} -> ${wanted[key]}`).join(', ')}`,
    hint: 'resume with the same shape, or begin a new run in another folder',
    details: { changed: keys },
  })
}

/** Throws `training.changed-data` where a resumed run is to learn from other examples than it was begun with. */
export async function refuseOtherData(output: string, examples: readonly EncodedExample[]): Promise<void> {
  const path = join(output, DATA_FILE)
  const saved = JSON.parse(await readFile(path, 'utf8')) as { readonly digest: string }
  if (saved.digest === digestOf(examples)) return
  throw new ShallowDeepError({
    code: 'training.changed-data',
    message: 'the training examples are not those that the run was begun with',
    hint: 'resume with the same data file, columns, prefix and limit, or begin a new run in another folder',
    details: { path },
  })
}
