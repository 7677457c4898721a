// The canonical checkpoint as a set of named files in memory: what stands in config.json, model.safetensors,
// tokenizer.json, calibration.json and README.md. Where the files come from or go to is the caller's.
import { ShallowDeepError } from '../errors.js'
import { findJsonError } from './jsonPosition.js'
import { readSafetensors } from './safetensors.js'
import { writeSafetensors } from './safetensorsWriter.js'
import { fromHuggingFaceTensors, toHuggingFaceTensors } from './weights.js'
import type { ModelWeights } from './weights.js'

/** Names of the files that a checkpoint's reader looks at. The first two must be there. */
export const CHECKPOINT_FILES = [
  'config.json',
  'model.safetensors',
  'tokenizer.json',
  'calibration.json',
] as const

/** A parsed JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>

/** A checkpoint's contents. */
export interface Checkpoint extends ModelWeights {
  /** The parsed tokenizer.json, in the Hugging Face format; unchecked beyond being an object. */
  readonly tokenizerJson?: JsonObject
  /** The parsed calibration.json; unchecked beyond being an object. */
  readonly calibration?: JsonObject
}

/** A checkpoint's contents to be written. */
export interface CheckpointContents extends Checkpoint {
  /** Text of README.md. */
  readonly modelCard?: string
  /** More files by name, for example the training state. */
  readonly otherFiles?: ReadonlyMap<string, Uint8Array | string>
}

/**
 * The files of a checkpoint by name, ready to be written. `dtype`: how the weights are stored, default `float32`.
 * Throws what {@link toHuggingFaceTensors} and {@link writeSafetensors} throw.
 */
export function toCheckpointFiles(
  contents: CheckpointContents,
  options: { readonly dtype?: 'float32' | 'float16' } = {},
): Map<string, Uint8Array | string> {
  const { tensors, configJson } = toHuggingFaceTensors(contents)
  const files = new Map<string, Uint8Array | string>(contents.otherFiles)
  files.set('config.json', toText(configJson))
  // The Hugging Face ecosystem asks for the format of the tensors' maker; "pt" means the layout of PyTorch.
  const dtype = options.dtype ?? 'float32'
  files.set('model.safetensors', writeSafetensors(tensors, { metadata: { format: 'pt' }, dtype }))
  if (contents.tokenizerJson) files.set('tokenizer.json', toText(contents.tokenizerJson))
  if (contents.calibration) files.set('calibration.json', toText(contents.calibration))
  if (contents.modelCard !== undefined) files.set('README.md', contents.modelCard)
  return files
}

function toText(json: JsonObject): string {
  return `${JSON.stringify(json, null, 2)}\n`
}

/**
 * A checkpoint from its files by name ({@link CHECKPOINT_FILES}; others are not looked at).
 * Throws `checkpoint.missing-file`, `checkpoint.bad-json` (with line and column), `checkpoint.wrong-type` (JSON that is no
 * object) and what {@link readSafetensors} and {@link fromHuggingFaceTensors} throw.
 * @param source the folder's name, for messages
 */
export function fromCheckpointFiles(
  files: ReadonlyMap<string, Uint8Array>,
  source: string,
  options: { readonly shallowLayers?: number } = {},
): Checkpoint {
  const configJson = parseJsonObject(requireFile(files, 'config.json', source), `${source}/config.json`)
  const weightsFile = `${source}/model.safetensors`
  const { tensors } = readSafetensors(requireFile(files, 'model.safetensors', source), weightsFile)
  const model = fromHuggingFaceTensors(tensors, configJson, source, options)
  const optional = (name: string) => {
    const bytes = files.get(name)
    return bytes && parseJsonObject(bytes, `${source}/${name}`)
  }
  const tokenizerJson = optional('tokenizer.json')
  const calibration = optional('calibration.json')
  return { ...model, ...(tokenizerJson && { tokenizerJson }), ...(calibration && { calibration }) }
}

function requireFile(files: ReadonlyMap<string, Uint8Array>, name: string, source: string): Uint8Array {
  const bytes = files.get(name)
  if (bytes) return bytes
  throw new ShallowDeepError({
    code: 'checkpoint.missing-file',
    message: `${source}: expected a file ${name}, there is none`,
    hint: `a checkpoint has ${CHECKPOINT_FILES.slice(0, 2).join(' and ')}; one in shards or as .bin must be converted`,
    details: { source, name },
  })
}

/**
 * The JSON object in `bytes`. Throws `checkpoint.bad-json` (no UTF-8, or no JSON: with line and column) and
 * `checkpoint.wrong-type` (JSON, but no object).
 */
export function parseJsonObject(bytes: Uint8Array, source: string): JsonObject {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw badJson(source, 'is no UTF-8 text', {})
  }
  const place = findJsonError(text)
  if (place) {
    const what =
      text.trim() === '' ? 'is empty' : `is no JSON from line ${place.line}, column ${place.column} on`
    throw badJson(source, what, place)
  }
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ShallowDeepError({
      code: 'checkpoint.wrong-type',
      message: `${source}: expected a JSON object, got ${value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`}`,
      hint: 'is it the right file?',
      details: { source },
    })
  }
  return value as JsonObject
}

function badJson(source: string, what: string, details: JsonObject): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.bad-json',
    message: `${source} ${what}`,
    hint: 'the file is damaged or was edited by hand: correct it or copy it again',
    details: { source, ...details },
  })
}
