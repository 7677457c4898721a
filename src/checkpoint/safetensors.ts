// Reads safetensors files on buffers. The file is not trusted: every claim of its header is checked against the bytes
// that are there before anything is allocated for it. Format: 8 bytes little-endian header length, JSON header, data.
import { ShallowDeepError } from '../errors.js'
import { widenBfloat16, widenFloat16 } from './float16.js'
import { findRepeatedName } from './jsonNames.js'
import { BYTES_PER_ELEMENT, countElements, quoteName } from './tensor.js'
import type { SafetensorsDtype, StoredTensor, TensorData } from './tensor.js'

/** What a safetensors file holds; `metadata` is empty where the file has none. */
export interface SafetensorsFile {
  readonly tensors: Map<string, StoredTensor>
  readonly metadata: Readonly<Record<string, string>>
}

/** The reference implementation's bound on the header. */
const MAX_HEADER_BYTES = 100_000_000

interface Entry {
  readonly name: string
  readonly dtype: SafetensorsDtype
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
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
  const dataStart = findDataStart(bytes, source)
  const header = parseHeader(bytes.subarray(8, dataStart), source)
  // A plain Uint8Array: slice() of a Node Buffer is a view, not a copy.
  const data = new Uint8Array(bytes.buffer, bytes.byteOffset + dataStart, bytes.length - dataStart)
  const entries: Entry[] = []
  let metadata: Readonly<Record<string, string>> = {}
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') metadata = checkMetadata(value, source)
    else entries.push(checkEntry(name, value, { dataBytes: data.length, source }))
  }
  checkLayout(entries, data.length, source)
  const tensors = new Map<string, StoredTensor>()
  for (const { name, dtype, shape, begin, end } of entries) {
    tensors.set(name, { dtype, shape, data: readValues(data.subarray(begin, end), dtype, name, source) })
  }
  return { tensors, metadata }
}

function findDataStart(bytes: Uint8Array, source: string): number {
  if (bytes.length < 8) {
    throw new ShallowDeepError({
      code: 'checkpoint.truncated',
      message: `${source}: expected at least the 8 bytes of a safetensors header length, got ${bytes.length}`,
      hint: 'the file is empty or cut off: copy or download it again',
      details: { source, sizeBytes: bytes.length },
    })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8)
  const headerBytes = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true)
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new ShallowDeepError({
      code: 'checkpoint.bad-header',
      message: `${source}: the safetensors header claims ${headerBytes} bytes, at most ${MAX_HEADER_BYTES} are allowed`,
      hint: 'is it a safetensors file? PyTorch .bin and ONNX files are not',
      details: { source, headerBytes },
    })
  }
  if (headerBytes > bytes.length - 8) {
    throw new ShallowDeepError({
      code: 'checkpoint.truncated',
      message: `${source}: the header claims ${headerBytes} bytes, the file has ${bytes.length - 8} after its length`,
      hint: 'the file is cut off, or is no safetensors file: copy or download it again',
      details: { source, headerBytes, sizeBytes: bytes.length },
    })
  }
  return 8 + headerBytes
}

function badHeader(source: string, what: string, details: Record<string, unknown> = {}): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.bad-header',
    message: `${source}: ${what}`,
    hint: 'the safetensors header is damaged: copy or download the file again',
    details: { source, ...details },
  })
}

function parseHeader(bytes: Uint8Array, source: string): Record<string, unknown> {
  // The format demands the brace as the first byte (no blank, no byte order mark); JSON.parse would let both pass.
  if (bytes[0] !== 0x7b) throw badHeader(source, 'expected a safetensors header that begins with {')
  let text: string
  let header: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    header = JSON.parse(text)
  } catch (cause) {
    const reason =
      cause instanceof SyntaxError ? `is no JSON: ${firstLine(cause.message)}` : 'is no UTF-8 text'
    throw badHeader(source, `the safetensors header ${reason}`)
  }
  const repeated = findRepeatedName(text)
  if (repeated !== undefined) {
    throw new ShallowDeepError({
      code: 'checkpoint.duplicate-name',
      message: `${source}: the name ${quoteName(repeated)} occurs twice in the header`,
      hint: 'such a file means different things to different readers: write it anew',
      details: { source, name: repeated },
    })
  }
  return header as Record<string, unknown>
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0].slice(0, 200)
}

function checkMetadata(value: unknown, source: string): Record<string, string> {
  if (!isRecord(value) || !Object.values(value).every((item) => typeof item === 'string')) {
    throw badHeader(source, 'expected __metadata__ to be an object of strings')
  }
  return value as Record<string, string>
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const ENTRY_KEYS = new Set(['dtype', 'shape', 'data_offsets'])

function checkEntry(name: string, value: unknown, file: { dataBytes: number; source: string }): Entry {
  const { source, dataBytes } = file
  const label = `tensor ${quoteName(name)}`
  if (!isRecord(value)) throw badHeader(source, `${label}: expected an object`, { name })
  const stray = Object.keys(value).find((key) => !ENTRY_KEYS.has(key))
  if (stray !== undefined) throw badHeader(source, `${label}: unknown key ${quoteName(stray)}`, { name })
  const { dtype, shape, data_offsets: offsets } = value
  if (typeof dtype !== 'string' || !Object.hasOwn(BYTES_PER_ELEMENT, dtype)) {
    throw new ShallowDeepError({
      code: 'checkpoint.unsupported-dtype',
      message: `${source}: ${label} has dtype ${quoteName(String(dtype))}, expected one of ${Object.keys(BYTES_PER_ELEMENT).join(', ')}`,
      hint: 'convert the file to float32, float16 or bfloat16',
      details: { source, name, dtype },
    })
  }
  const numElements = Array.isArray(shape) ? countElements(shape) : undefined
  if (numElements === undefined) {
    throw new ShallowDeepError({
      code: 'checkpoint.bad-shape',
      message: `${source}: ${label}: expected a shape of non-negative integers with a product below 2^53`,
      hint: 'the safetensors header is damaged: copy or download the file again',
      details: { source, name },
    })
  }
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as unknown[]) : []
  if (!isOffset(begin) || !isOffset(end) || begin > end) {
    throw badOffsets(source, `${label}: expected two rising byte offsets as data_offsets`, { name })
  }
  if (end > dataBytes) {
    throw new ShallowDeepError({
      code: 'checkpoint.truncated',
      message: `${source}: ${label} claims the data bytes ${begin} to ${end}, the file has ${dataBytes}`,
      hint: 'the file is cut off: copy or download it again',
      details: { source, name, begin, end, dataBytes },
    })
  }
  const expected = numElements * BYTES_PER_ELEMENT[dtype as SafetensorsDtype]
  if (end - begin !== expected) {
    throw badOffsets(
      source,
      `${label}: ${dtype} of its shape takes ${expected} bytes, its offsets span ${end - begin}`,
      { name },
    )
  }
  return { name, dtype: dtype as SafetensorsDtype, shape: shape as number[], begin, end }
}

function isOffset(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function badOffsets(source: string, what: string, details: Record<string, unknown>): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.bad-offsets',
    message: `${source}: ${what}`,
    hint: 'the safetensors header is damaged: copy or download the file again',
    details: { source, ...details },
  })
}

/** The tensors must cover the data bytes without overlap, hole or rest: nothing may hide in a file. */
function checkLayout(entries: readonly Entry[], dataBytes: number, source: string): void {
  const inOrder = entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)
  let covered = 0
  for (const { name, begin, end } of inOrder) {
    if (begin !== covered) {
      const what =
        begin < covered ? 'overlaps the tensor before it' : `leaves a hole of ${begin - covered} bytes`
      throw badOffsets(source, `tensor ${quoteName(name)} at data byte ${begin} ${what}`, { name })
    }
    covered = end
  }
  if (covered !== dataBytes) {
    throw badOffsets(source, `${dataBytes - covered} bytes after the last tensor belong to none`, {
      extraBytes: dataBytes - covered,
    })
  }
}

function readValues(bytes: Uint8Array, dtype: SafetensorsDtype, name: string, source: string): TensorData {
  // slice() makes an aligned copy of its own, whatever the offset in the file.
  const { buffer } = bytes.slice()
  switch (dtype) {
    case 'F32':
      return new Float32Array(buffer)
    case 'F16':
      return widenFloat16(new Uint16Array(buffer))
    case 'BF16':
      return widenBfloat16(new Uint16Array(buffer))
    case 'I32':
      return new Int32Array(buffer)
    case 'U8':
      return new Uint8Array(buffer)
    case 'I64':
      return readSafeIntegers(new BigInt64Array(buffer), name, source)
  }
}

function readSafeIntegers(values: BigInt64Array, name: string, source: string): Float64Array {
  const result = new Float64Array(values.length)
  for (let i = 0; i < values.length; i++) {
    result[i] = Number(values[i])
    if (!Number.isSafeInteger(result[i])) {
      throw new ShallowDeepError({
        code: 'checkpoint.unsafe-integer',
        message: `${source}: tensor ${quoteName(name)}: element ${i} is ${values[i]}, beyond 2^53 - 1`,
        hint: 'JavaScript numbers cannot hold it exactly',
        details: { source, name, index: i, value: String(values[i]) },
      })
    }
  }
  return result
}
