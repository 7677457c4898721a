// Writes safetensors files on buffers: equal tensors give equal bytes, whatever the order they are handed in.
import { ShallowDeepError } from '../errors.js'
import { narrowToFloat16 } from './float16.js'
import { BYTES_PER_ELEMENT, countElements, quoteName } from './tensor.js'
import type { SafetensorsDtype, Tensor } from './tensor.js'

export interface WriteSafetensorsOptions {
  /** Strings stored under `__metadata__`; default none. */
  readonly metadata?: Readonly<Record<string, string>>
  /** How floats are stored; default `float32`, which loses nothing. Integers keep their type. */
  readonly dtype?: 'float32' | 'float16'
}

interface Piece {
  readonly name: string
  readonly tensor: Tensor
  readonly dtype: SafetensorsDtype
  readonly sizeBytes: number
}

/**
 * The bytes of a safetensors file. Float32Array is stored as F32 or rounded to the nearest F16 (ties to even),
 * Int32Array as I32, Uint8Array as U8, Float64Array as I64. The header's names are sorted; the data begin at a multiple
 * of 8 and lie by element size, widest first, then by name, so that each tensor is aligned.
 * Throws `checkpoint.bad-tensor` (data and shape disagree, or the name is reserved), `checkpoint.float16-overflow`
 * (a finite value has no finite nearest float16) and `checkpoint.unsafe-integer` (a Float64Array holds anything but
 * safe integers).
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  options: WriteSafetensorsOptions = {},
): Uint8Array {
  const pieces = [...tensors].map(([name, tensor]) => toPiece(name, tensor, options.dtype ?? 'float32'))
  pieces.sort((a, b) => BYTES_PER_ELEMENT[b.dtype] - BYTES_PER_ELEMENT[a.dtype] || compare(a.name, b.name))
  const fields = new Map<string, string>()
  let offset = 0
  for (const { name, tensor, dtype, sizeBytes } of pieces) {
    const { shape } = tensor
    fields.set(name, JSON.stringify({ dtype, shape, data_offsets: [offset, offset + sizeBytes] }))
    offset += sizeBytes
  }
  const header = encodeHeader(fields, options.metadata)
  const bytes = new Uint8Array(8 + header.length + offset)
  new DataView(bytes.buffer).setUint32(0, header.length, true)
  bytes.set(header, 8)
  let position = 8 + header.length
  for (const piece of pieces) {
    writeValues(piece, bytes.buffer, position)
    position += piece.sizeBytes
  }
  return bytes
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function toPiece(name: string, tensor: Tensor, floats: 'float32' | 'float16'): Piece {
  const numElements = countElements(tensor.shape)
  if (name === '__metadata__' || numElements !== tensor.data.length) {
    const what =
      name === '__metadata__'
        ? 'is a reserved name'
        : `has ${tensor.data.length} values, its shape [${tensor.shape.join(', ')}] takes another number`
    throw new ShallowDeepError({
      code: 'checkpoint.bad-tensor',
      message: `tensor ${quoteName(name)} ${what}`,
      hint: 'the shape must be of non-negative integers whose product is the number of values',
      details: { name, shape: tensor.shape, numValues: tensor.data.length },
    })
  }
  const dtype = storedDtype(tensor, floats)
  return { name, tensor, dtype, sizeBytes: numElements * BYTES_PER_ELEMENT[dtype] }
}

function storedDtype({ data }: Tensor, floats: 'float32' | 'float16'): SafetensorsDtype {
  if (data instanceof Float32Array) return floats === 'float16' ? 'F16' : 'F32'
  if (data instanceof Int32Array) return 'I32'
  return data instanceof Float64Array ? 'I64' : 'U8'
}

/** The JSON text with sorted names (built by hand: objects put names that look like numbers first), padded to 8. */
function encodeHeader(
  fields: ReadonlyMap<string, string>,
  metadata: Readonly<Record<string, string>> | undefined,
): Uint8Array {
  const parts = [...fields]
    .sort(([a], [b]) => compare(a, b))
    .map(([name, json]) => `${JSON.stringify(name)}:${json}`)
  if (metadata && Object.keys(metadata).length > 0) {
    const pairs = Object.entries(metadata).sort(([a], [b]) => compare(a, b))
    const inner = pairs.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
    parts.unshift(`"__metadata__":{${inner.join(',')}}`)
  }
  const text = new TextEncoder().encode(`{${parts.join(',')}}`)
  const header = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20)
  header.set(text)
  return header
}

function writeValues(
  { name, tensor: { data }, dtype, sizeBytes }: Piece,
  buffer: ArrayBuffer,
  position: number,
): void {
  if (data instanceof Float32Array && dtype === 'F16') {
    const overflow = narrowToFloat16(data, new Uint16Array(buffer, position, data.length))
    if (overflow >= 0) {
      throw new ShallowDeepError({
        code: 'checkpoint.float16-overflow',
        message: `tensor ${quoteName(name)}: element ${overflow} is ${data[overflow]}, float16 ends at 65504`,
        hint: 'store the checkpoint as float32',
        details: { name, index: overflow, value: data[overflow] },
      })
    }
  } else if (data instanceof Float64Array) {
    writeSafeIntegers(name, data, new BigInt64Array(buffer, position, data.length))
  } else {
    new Uint8Array(buffer, position, sizeBytes).set(new Uint8Array(data.buffer, data.byteOffset, sizeBytes))
  }
}

function writeSafeIntegers(name: string, values: Float64Array, target: BigInt64Array): void {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isSafeInteger(values[i])) {
      throw new ShallowDeepError({
        code: 'checkpoint.unsafe-integer',
        message: `tensor ${quoteName(name)}: element ${i} is ${values[i]}, expected an integer within 2^53 - 1`,
        hint: 'a Float64Array is stored as 64-bit integers; use a Float32Array for floats',
        details: { name, index: i, value: String(values[i]) },
      })
    }
    target[i] = BigInt(values[i])
  }
}
