// Reads the t5-parity vectors of test/golden: the checkpoint of a case, its batches, and what the reference computed.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { fileURLToPath } from 'node:url'
import {
  fromCheckpointFiles,
  readSafetensors,
  type ModelWeights,
  type StoredTensor,
} from '../../src/checkpoint/index.js'

const ROOT = fileURLToPath(new URL('./t5-parity/', import.meta.url))

/** What beam search found on a batch: all hypotheses of each row, best first. */
export interface ParityBeams {
  readonly num_beams: number
  readonly length_penalty: number
  readonly early_stopping: boolean
  readonly ids: number[][][]
  readonly scores: number[][]
}

/** One batch of a case; see the README beside the vectors. */
export interface ParityBatch {
  readonly name: string
  readonly input_ids: number[][]
  readonly attention_mask: number[][]
  readonly labels: number[][]
  readonly decoder_input_ids: number[][]
  readonly loss: number
  readonly max_new_tokens: number
  readonly greedy: number[][]
  readonly beam: readonly ParityBeams[]
}

export interface ParityCase {
  readonly model: ModelWeights
  readonly batches: readonly ParityBatch[]
  /** Tensors by `<batch>.<name>`. */
  readonly expected: ReadonlyMap<string, StoredTensor>
}

/** A JSON file of a case, plain or gzipped. */
export function readGoldenJson(path: string): unknown {
  return JSON.parse(readGolden(path).toString('utf8'))
}

function readGolden(path: string): Buffer {
  const plain = ROOT + path
  return existsSync(plain) ? readFileSync(plain) : gunzipSync(readFileSync(`${plain}.gz`))
}

/** Folders of the cases that have inputs and outputs of their own. */
export function parityCaseNames(): string[] {
  return readdirSync(ROOT).filter((name) => existsSync(`${ROOT}${name}/cases.json`))
}

/** The checkpoint of a case, sharded or not; `shallowLayers` where the case does not say. */
export function readParityModel(name: string, shallowLayers?: number): ModelWeights {
  const names = readdirSync(ROOT + name).filter((file) => /^(config\.json|model.*\.safetensors.*)$/.test(file))
  const files = new Map(names.map((file) => [file, readFileSync(`${ROOT}${name}/${file}`)]))
  return fromCheckpointFiles(files, name, { shallowLayers })
}

/** The batches of a case. */
export function readParityBatches(name: string): readonly ParityBatch[] {
  return (readGoldenJson(`${name}/cases.json`) as { batches: ParityBatch[] }).batches
}

/** A case and what the reference computed. `v10-old-file` is `v10` in another file. */
export function readParityCase(name: string): ParityCase {
  const path = `${name === 'v10-old-file' ? 'v10' : name}/expected.safetensors`
  return {
    model: readParityModel(name),
    batches: readParityBatches(name === 'v10-old-file' ? 'v10' : name),
    expected: readSafetensors(readGolden(path), path).tensors,
  }
}
