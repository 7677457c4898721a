// The canonical checkpoint as a set of named files in memory: what stands in config.json, model.safetensors,
// tokenizer.json, calibration.json and README.md. Where the files come from or go to is the caller's.
import { ShallowDeepError } from '../errors.js'
import { parseJsonObject, toJsonText } from './json.js'
import type { JsonObject } from './json.js'
import { readSafetensors } from './safetensors.js'
import { encodeSafetensors, joinBytes } from './safetensorsWriter.js'
import type { FloatDtype } from './safetensorsWriter.js'
import { checkShards, parseShardIndex, SHARD_INDEX_FILE } from './shards.js'
import type { Tensor } from './tensor.js'
import { fromHuggingFaceTensors, planHuggingFaceTensors } from './weights.js'
import type { ModelWeights } from './weights.js'

/** Name of the file of weights. */
export const WEIGHTS_FILE = 'model.safetensors'

/** Names of the files that a checkpoint's reader looks at; the weights may also be in shards ({@link SHARD_INDEX_FILE}). */
export const CHECKPOINT_FILES = ['config.json', WEIGHTS_FILE, 'tokenizer.json', 'calibration.json'] as const

/** Sizes that no sensible file exceeds: vocabularies are large, the rest is not. */
export const MAX_JSON_BYTES = {
  'config.json': 16e6,
  'tokenizer.json': 256e6,
  'calibration.json': 16e6,
} as const

/** What a checkpoint's folder holds beside the weights. */
export interface CheckpointAttachments {
  /** The parsed tokenizer.json, in the Hugging Face format; unchecked beyond being an object. */
  readonly tokenizerJson?: JsonObject
  /** The parsed calibration.json; unchecked beyond being an object. */
  readonly calibration?: JsonObject
}

/** A checkpoint's contents. */
export interface Checkpoint extends ModelWeights, CheckpointAttachments {}

/** A file to be written: its bytes, its text, or its bytes in pieces that are made as they are written. */
export type FileContent = Uint8Array | string | Iterable<Uint8Array>

/** A checkpoint's contents to be written. */
export interface CheckpointContents extends Checkpoint {
  /** Text of README.md. */
  readonly modelCard?: string
  /** More files by name, for example the training state. */
  readonly otherFiles?: ReadonlyMap<string, Uint8Array | string>
}

/** How weights are stored; default `float32`. */
export interface StorageOptions {
  readonly dtype?: FloatDtype
}

/**
 * The files of a checkpoint by name, ready to be written. Throws what {@link planHuggingFaceTensors} and
 * {@link encodeSafetensors} throw.
 */
export function toCheckpointFiles(
  contents: CheckpointContents,
  options: StorageOptions = {},
): Map<string, Uint8Array | string> {
  const files = streamCheckpointFiles(contents, options)
  return new Map(
    [...files].map(([name, content]) => [
      name,
      typeof content === 'string' || content instanceof Uint8Array ? content : joinBytes(content),
    ]),
  )
}

/** The same with the weights in pieces, so that they are not in memory a second time. Writing throws, too. */
export function streamCheckpointFiles(
  contents: CheckpointContents,
  options: StorageOptions = {},
): Map<string, FileContent> {
  const { tensors, configJson } = planHuggingFaceTensors(contents)
  const files = new Map<string, FileContent>(contents.otherFiles)
  files.set('config.json', toJsonText(configJson))
  // The Hugging Face ecosystem asks for the format of the tensors' maker; "pt" means the layout of PyTorch.
  files.set(WEIGHTS_FILE, encodeSafetensors(tensors, { metadata: { format: 'pt' }, dtype: options.dtype }))
  if (contents.tokenizerJson) files.set('tokenizer.json', toJsonText(contents.tokenizerJson))
  if (contents.calibration) files.set('calibration.json', toJsonText(contents.calibration))
  if (contents.modelCard !== undefined) files.set('README.md', contents.modelCard)
  return files
}

/**
 * A checkpoint from its files by name ({@link CHECKPOINT_FILES}, {@link SHARD_INDEX_FILE} and the shards that it names;
 * others are not looked at).
 * Throws `checkpoint.missing-file`, `checkpoint.bad-json` (with line and column), `checkpoint.wrong-type` (JSON that is no
 * object), `checkpoint.bad-index` and what {@link readSafetensors} and {@link fromHuggingFaceTensors} throw.
 * @param source the folder's name, for messages
 */
export function fromCheckpointFiles(
  files: ReadonlyMap<string, Uint8Array>,
  source: string,
  options: { readonly shallowLayers?: number } = {},
): Checkpoint {
  const configJson = parseConfigJson(files.get('config.json'), source)
  const model = fromHuggingFaceTensors(readTensors(files, source), configJson, source, options)
  return { ...model, ...parseAttachments(files, source) }
}

function readTensors(files: ReadonlyMap<string, Uint8Array>, source: string): ReadonlyMap<string, Tensor> {
  const read = (bytes: Uint8Array, name: string) => readSafetensors(bytes, `${source}/${name}`).tensors
  const whole = files.get(WEIGHTS_FILE)
  if (whole) return read(whole, WEIGHTS_FILE)
  const indexBytes = files.get(SHARD_INDEX_FILE)
  if (!indexBytes) throw missingFile(WEIGHTS_FILE, source)
  const indexSource = `${source}/${SHARD_INDEX_FILE}`
  const index = parseShardIndex(parseJsonObject(indexBytes, indexSource), indexSource)
  const shards = new Map(
    index.files.map((name) => {
      const bytes = files.get(name)
      if (!bytes) throw missingFile(name, source)
      return [name, read(bytes, name)]
    }),
  )
  checkShards(index, new Map([...shards].map(([name, tensors]) => [name, tensors.keys()])), indexSource)
  return new Map([...shards.values()].flatMap((tensors) => [...tensors]))
}

/** The parsed config.json. Throws `checkpoint.missing-file`, `checkpoint.bad-json` and `checkpoint.wrong-type`. */
export function parseConfigJson(bytes: Uint8Array | undefined, source: string): JsonObject {
  if (!bytes) throw missingFile('config.json', source)
  return parseJsonObject(bytes, `${source}/config.json`)
}

/** What is there beside the weights. Throws `checkpoint.bad-json` and `checkpoint.wrong-type`. */
export function parseAttachments(
  files: ReadonlyMap<string, Uint8Array>,
  source: string,
): CheckpointAttachments {
  const optional = (name: string) => {
    const bytes = files.get(name)
    return bytes && parseJsonObject(bytes, `${source}/${name}`)
  }
  const tokenizerJson = optional('tokenizer.json')
  const calibration = optional('calibration.json')
  return { ...(tokenizerJson && { tokenizerJson }), ...(calibration && { calibration }) }
}

/** The error for a file that a checkpoint needs and has not. */
export function missingFile(name: string, source: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.missing-file',
    message: `${source}: expected a file ${name}, there is none`,
    hint: `a checkpoint has config.json and ${WEIGHTS_FILE} (or ${SHARD_INDEX_FILE} and its shards); one as .bin must be converted`,
    details: { source, name },
  })
}

/** The error for a file beyond any sense. */
export function tooLarge(path: string, sizeBytes: number, maxBytes: number): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.too-large',
    message: `${path} has ${sizeBytes} bytes, expected at most ${maxBytes}`,
    hint: 'is it the right file?',
    details: { path, sizeBytes, maxBytes },
  })
}
