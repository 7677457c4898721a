// What our reader says of a safetensors file, in the terms of safetensorsRules.ts.
import {
  narrowToBfloat16,
  narrowToFloat16,
  openSafetensors,
  readSafetensors,
} from '../../src/checkpoint/index.js'
import type { SafetensorsFile, StoredTensor } from '../../src/checkpoint/index.js'
import { ShallowDeepError } from '../../src/errors.js'
import type { RawContent, RawTensor } from './safetensorsRules.js'

/** The content, or the code of the refusal. Anything else that is thrown goes through. */
export function readOrRefuse(bytes: Uint8Array): RawContent | string {
  try {
    return contentOf(readSafetensors(bytes, 'mutant'))
  } catch (error) {
    return codeOf(error)
  }
}

/** The same by ranges, as from a file; a range outside the file is an error that goes through. */
export async function readRangesOrRefuse(bytes: Uint8Array): Promise<RawContent | string> {
  const fill = async (target: Uint8Array, position: number) => {
    const end = position + target.length
    if (!(position >= 0 && end <= bytes.length))
      throw new RangeError(`${position} to ${end} of ${bytes.length}`)
    target.set(bytes.subarray(position, end))
  }
  try {
    const { entries, metadata, read } = await openSafetensors({ sizeBytes: bytes.length, fill }, 'mutant')
    const tensors = new Map<string, StoredTensor>()
    for (const name of entries.keys()) tensors.set(name, await read(name))
    return contentOf({ tensors, metadata })
  } catch (error) {
    return codeOf(error)
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof ShallowDeepError)) throw error
  if (/\n/.test(error.message) || !error.message.startsWith('mutant: ')) throw error
  return error.code
}

/** A file as it was read, with the values as the bytes that they came from. */
export function contentOf({ tensors, metadata }: SafetensorsFile): RawContent {
  return {
    tensors: new Map([...tensors].map(([name, tensor]) => [name, rawTensor(tensor)])),
    metadata: new Map(Object.entries(metadata)),
  }
}

/** Halves are exact in float32, NaN payloads included (float16.test.ts), so the way back loses nothing. */
function rawTensor({ dtype, shape, data }: StoredTensor): RawTensor {
  let stored: Uint16Array | BigInt64Array | StoredTensor['data'] = data
  if (dtype === 'I64') stored = BigInt64Array.from(data, BigInt)
  else if (dtype === 'F16' || dtype === 'BF16') {
    stored = new Uint16Array(data.length)
    ;(dtype === 'F16' ? narrowToFloat16 : narrowToBfloat16)(data as Float32Array, stored)
  }
  return { dtype, shape, bytes: new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength) }
}
