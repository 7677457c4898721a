// Reads safetensors files, from a buffer or range by range from something larger (a file, see safetensorsFile.node.ts).
// The header is checked in safetensorsHeader.ts before a value is read. https://github.com/huggingface/safetensors
import { ShallowDeepError } from '../errors.js'
import { widenBfloat16, widenFloat16 } from './float16.js'
import { findDataStart, LENGTH_BYTES, parseSafetensorsHeader } from './safetensorsHeader.js'
import type { SafetensorsHeader, TensorEntry } from './safetensorsHeader.js'
import { BYTES_PER_ELEMENT, quoteName } from './tensor.js'
import type { SafetensorsDtype, StoredTensor, TensorData } from './tensor.js'

/** What a safetensors file holds; `metadata` is empty where the file has none. */
export interface SafetensorsFile {
  readonly tensors: Map<string, StoredTensor>
  readonly metadata: Readonly<Record<string, string>>
}

/** Bytes that need not all be in memory. */
export interface ByteSource {
  readonly sizeBytes: number
  /** Fills `target` with the bytes from `position` on; never asked for bytes beyond the size. */
  fill(target: Uint8Array, position: number): Promise<void>
}

/** A safetensors file whose tensors are read one by one. */
export interface SafetensorsReader extends SafetensorsHeader {
  /** Reads one of the entries; takes little more memory than the tensor itself. Throws `checkpoint.unsafe-integer`. */
  read(name: string): Promise<StoredTensor>
}

/** What is read and widened at a time. */
const CHUNK_BYTES = 4 * 2 ** 20

/**
 * Opens a safetensors file by its header alone. Throws what {@link readSafetensors} throws, but for
 * `checkpoint.unsafe-integer`, which each tensor's reading throws.
 * @param source what the bytes are, for messages: a file name
 */
export async function openSafetensors(bytes: ByteSource, source: string): Promise<SafetensorsReader> {
  const { sizeBytes } = bytes
  const fetch = async (begin: number, end: number) => {
    const target = new Uint8Array(Math.max(0, end - begin))
    await bytes.fill(target, begin)
    return target
  }
  const length = await fetch(0, Math.min(LENGTH_BYTES, sizeBytes))
  const dataStart = findDataStart(length, sizeBytes, source)
  const header = parseSafetensorsHeader(await fetch(LENGTH_BYTES, dataStart), sizeBytes, source)
  return {
    ...header,
    async read(name) {
      const entry = header.entries.get(name) as TensorEntry
      const { dtype, shape, begin, end } = entry
      const data = allocate(entry)
      for (let position = begin; position < end; position += CHUNK_BYTES) {
        const chunk = await fetch(position, Math.min(end, position + CHUNK_BYTES))
        const at = (position - begin) / BYTES_PER_ELEMENT[dtype]
        decode(chunk, { dtype, data, at, label: `${source}: tensor ${quoteName(name)}` })
      }
      return { dtype, shape, data }
    },
  }
}

/**
 * Reads a safetensors file. Floats are widened to float32 exactly. The data are copies, so `bytes` may be reused;
 * memory is bounded by a small multiple of `bytes.length`, whatever the header claims.
 * Throws `checkpoint.truncated` (the file ends before what it claims), `checkpoint.bad-header` (length, text, JSON or
 * an entry's form), `checkpoint.duplicate-name`, `checkpoint.unsupported-dtype`, `checkpoint.bad-shape`,
 * `checkpoint.bad-offsets` (reversed, overlapping, with holes or of another size than the shape says) and
 * `checkpoint.unsafe-integer` (an I64 beyond 2^53 - 1).
 * @param source what the bytes are, for messages: a file name
 */
export function readSafetensors(bytes: Uint8Array, source: string): SafetensorsFile {
  const dataStart = findDataStart(bytes, bytes.length, source)
  const header = bytes.subarray(LENGTH_BYTES, dataStart)
  const { entries, metadata } = parseSafetensorsHeader(header, bytes.length, source)
  const tensors = new Map<string, StoredTensor>()
  for (const [name, entry] of entries) {
    const { dtype, shape, begin, end } = entry
    const data = allocate(entry)
    decode(bytes.subarray(begin, end), { dtype, data, at: 0, label: `${source}: tensor ${quoteName(name)}` })
    tensors.set(name, { dtype, shape, data })
  }
  return { tensors, metadata }
}

/** Room for an entry's values. */
function allocate({ dtype, begin, end }: TensorEntry): TensorData {
  const numElements = (end - begin) / BYTES_PER_ELEMENT[dtype]
  if (dtype === 'I32') return new Int32Array(numElements)
  if (dtype === 'I64') return new Float64Array(numElements)
  return dtype === 'U8' ? new Uint8Array(numElements) : new Float32Array(numElements)
}

interface Destination {
  readonly dtype: SafetensorsDtype
  /** Made by {@link allocate}. */
  readonly data: TensorData
  /** Index of the first element to be written. */
  readonly at: number
  /** File and tensor, for messages. */
  readonly label: string
}

/** Writes the elements that `bytes` hold, whole ones, to their place. */
function decode(bytes: Uint8Array, { dtype, data, at, label }: Destination): void {
  const numElements = bytes.length / BYTES_PER_ELEMENT[dtype]
  if (dtype === 'F16' || dtype === 'BF16' || dtype === 'I64') {
    // A plain, aligned copy where the bytes lie askew in their buffer.
    const aligned = bytes.byteOffset % 8 === 0 ? bytes : Uint8Array.from(bytes)
    const place = [aligned.buffer, aligned.byteOffset, numElements] as const
    const target = data.subarray(at, at + numElements)
    if (dtype === 'I64') widenIntegers(new BigInt64Array(...place), target as Float64Array, { at, label })
    else (dtype === 'F16' ? widenFloat16 : widenBfloat16)(new Uint16Array(...place), target as Float32Array)
    return
  }
  const target = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  target.set(bytes, at * BYTES_PER_ELEMENT[dtype])
}

function widenIntegers(
  values: BigInt64Array,
  target: Float64Array,
  { at, label }: Pick<Destination, 'at' | 'label'>,
): void {
  for (let i = 0; i < values.length; i++) {
    target[i] = Number(values[i])
    if (!Number.isSafeInteger(target[i])) {
      throw new ShallowDeepError({
        code: 'checkpoint.unsafe-integer',
        message: `${label}: element ${at + i} is ${values[i]}, beyond 2^53 - 1`,
        hint: 'JavaScript numbers cannot hold it exactly',
        details: { index: at + i, value: String(values[i]) },
      })
    }
  }
}
