// Reads the t5-parity vectors of test/golden: the checkpoint of a case, its batches, and what the reference computed.
import { readFileSync, existsSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { fileURLToPath } from 'node:url'
import {
  fromHuggingFaceTensors,
  readSafetensors,
  type ModelWeights,
  type StoredTensor,
} from '../../src/checkpoint/index.js'

const ROOT = fileURLToPath(new URL('./t5-parity/', import.meta.url))

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
}

export interface ParityCase {
  readonly model: ModelWeights
  readonly batches: readonly ParityBatch[]
  /** Tensors by `<batch>.<name>`. */
  readonly expected: ReadonlyMap<string, StoredTensor>
}

/** A JSON file of a case, plain or gzipped. */
export function readGoldenJson(path: string): unknown {
  const plain = ROOT + path
  const text = existsSync(plain) ? readFileSync(plain) : gunzipSync(readFileSync(`${plain}.gz`))
  return JSON.parse(text.toString('utf8'))
}

/** The checkpoint of a case; `shallowLayers` where the case does not say. */
export function readParityModel(name: string, shallowLayers?: number): ModelWeights {
  const path = `${ROOT}${name}/model.safetensors`
  const { tensors } = readSafetensors(readFileSync(path), path)
  return fromHuggingFaceTensors(tensors, readGoldenJson(`${name}/config.json`), name, { shallowLayers })
}

export function readParityCase(name: string): ParityCase {
  const { batches } = readGoldenJson(`${name}/cases.json`) as { batches: ParityBatch[] }
  const path = `${ROOT}${name}/expected.safetensors`
  return {
    model: readParityModel(name),
    batches,
    expected: readSafetensors(readFileSync(path), path).tensors,
  }
}
