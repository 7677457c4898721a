// Writes safetensors files: equal tensors give equal bytes, whatever the order they are handed in. On a buffer, or piece by
// piece for a file, so that only one tensor's values need be there at a time.
import { ShallowDeepError } from '../errors.js'
import { narrowToBfloat16, narrowToFloat16 } from './float16.js'
import { BYTES_PER_ELEMENT, countElements, dtypeOf, quoteName } from './tensor.js'
import type { SafetensorsDtype, Tensor, TensorData } from './tensor.js'

/** How floats are stored. */
export type FloatDtype = 'float32' | 'float16' | 'bfloat16'

export interface WriteSafetensorsOptions {
  /** Strings stored under `__metadata__`; default none. */
  readonly metadata?: Readonly<Record<string, string>>
  /** How floats are stored; default `float32`, which loses nothing. Integers keep their type. */
  readonly dtype?: FloatDtype
}

/** A tensor of floats whose values are made when they are written. */
export interface PendingTensor {
  readonly shape: readonly number[]
  /** As many as the shape says. */
  values(): Float32Array
}

interface Piece {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: SafetensorsDtype
  readonly sizeBytes: number
  readonly values: () => TensorData
}

const FLOATS = { float32: 'F32', float16: 'F16', bfloat16: 'BF16' } as const

/**
 * The bytes of a safetensors file. Float32Array is stored as F32 or rounded to the nearest F16 or BF16 (ties to even),
 * Int32Array as I32, Uint8Array as U8, Float64Array as I64. The header's names are sorted; the data begin at a multiple
 * of 8 and lie by element size, widest first, then by name, so that each tensor is aligned.
 * Throws `checkpoint.bad-tensor` (data and shape disagree, or the name is reserved or no text), `checkpoint.bad-metadata`
 * (no text), `checkpoint.float16-overflow` (a
 * finite value has no finite nearest float16 or bfloat16) and `checkpoint.unsafe-integer` (a Float64Array holds anything
 * but safe integers).
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  options: WriteSafetensorsOptions = {},
): Uint8Array {
  const pieces = [...tensors].map(([name, tensor]) => toPiece(name, tensor, options))
  return joinBytes(encodePieces(pieces, options))
}

/** Pieces of bytes one after the other. */
export function joinBytes(pieces: Iterable<Uint8Array>): Uint8Array {
  const all = [...pieces]
  const bytes = new Uint8Array(all.reduce((sum, piece) => sum + piece.length, 0))
  let position = 0
  for (const piece of all) {
    bytes.set(piece, position)
    position += piece.length
  }
  return bytes
}

/**
 * The same file in pieces, in order: the header, then each tensor, made as it is asked for. Iterating throws what
 * {@link writeSafetensors} throws.
 */
export function* encodeSafetensors(
  tensors: ReadonlyMap<string, PendingTensor>,
  options: WriteSafetensorsOptions = {},
): Generator<Uint8Array> {
  const pieces = [...tensors].map(([name, { shape, values }]) =>
    checkPiece({ name, shape, dtype: FLOATS[options.dtype ?? 'float32'], values }),
  )
  yield* encodePieces(pieces, options)
}

function* encodePieces(pieces: Piece[], { metadata }: WriteSafetensorsOptions): Generator<Uint8Array> {
  pieces.sort((a, b) => BYTES_PER_ELEMENT[b.dtype] - BYTES_PER_ELEMENT[a.dtype] || compare(a.name, b.name))
  const fields = new Map<string, string>()
  let offset = 0
  for (const { name, shape, dtype, sizeBytes } of pieces) {
    fields.set(name, JSON.stringify({ dtype, shape, data_offsets: [offset, offset + sizeBytes] }))
    offset += sizeBytes
  }
  const header = encodeHeader(fields, metadata)
  const length = new Uint8Array(8)
  new DataView(length.buffer).setUint32(0, header.length, true)
  yield length
  yield header
  for (const piece of pieces) yield encodeValues(piece)
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function toPiece(name: string, { shape, data }: Tensor, { dtype }: WriteSafetensorsOptions): Piece {
  const stored = dtypeOf(data)
  const piece = {
    name,
    shape,
    dtype: stored === 'F32' ? FLOATS[dtype ?? 'float32'] : stored,
    values: () => data,
  }
  return checkPiece(piece, data.length)
}

function checkPiece(piece: Omit<Piece, 'sizeBytes'>, numValues?: number): Piece {
  const { name, shape, dtype } = piece
  const numElements = countElements(shape)
  if (name === '__metadata__') throw badTensor(piece, 'is a reserved name')
  // Text that no UTF-8 can hold would be read back as another name.
  if (hasHalfCharacter(name)) throw badTensor(piece, 'holds half of a character')
  if (numElements === undefined || (numValues !== undefined && numValues !== numElements)) {
    throw badTensor(
      piece,
      `has ${numValues ?? 'no'} values, its shape [${shape.join(', ')}] takes another number`,
    )
  }
  return { ...piece, sizeBytes: numElements * BYTES_PER_ELEMENT[dtype] }
}

function hasHalfCharacter(text: string): boolean {
  return /\p{Surrogate}/u.test(text)
}

function badTensor({ name, shape }: Pick<Piece, 'name' | 'shape'>, what: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'checkpoint.bad-tensor',
    message: `tensor ${quoteName(name)} ${what}`,
    hint: 'the shape must be of non-negative integers whose product is the number of values',
    details: { name, shape },
  })
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
    const half = pairs.flat().find(hasHalfCharacter)
    if (half !== undefined) {
      throw new ShallowDeepError({
        code: 'checkpoint.bad-metadata',
        message: `the metadata ${quoteName(half)} hold half of a character`,
        hint: 'no UTF-8 text can hold it: the file would be refused by every reader',
      })
    }
    const inner = pairs.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
    parts.unshift(`"__metadata__":{${inner.join(',')}}`)
  }
  const text = new TextEncoder().encode(`{${parts.join(',')}}`)
  const header = new Uint8Array(Math.ceil(text.length / 8) * 8).fill(0x20)
  header.set(text)
  return header
}

function encodeValues(piece: Piece): Uint8Array {
  const { name, dtype, sizeBytes } = piece
  const data = piece.values()
  checkPiece(piece, data.length)
  if (data instanceof Float32Array && dtype !== 'F32') return encodeHalves(name, data, dtype)
  if (data instanceof Float64Array) {
    const target = new BigInt64Array(data.length)
    writeSafeIntegers(name, data, target)
    return new Uint8Array(target.buffer)
  }
  return new Uint8Array(data.buffer, data.byteOffset, sizeBytes)
}

function encodeHalves(name: string, data: Float32Array, dtype: SafetensorsDtype): Uint8Array {
  const target = new Uint16Array(data.length)
  const overflow = (dtype === 'F16' ? narrowToFloat16 : narrowToBfloat16)(data, target)
  if (overflow < 0) return new Uint8Array(target.buffer)
  const [type, end] = dtype === 'F16' ? ['float16', '65504'] : ['bfloat16', '3.39e38']
  throw new ShallowDeepError({
    code: 'checkpoint.float16-overflow',
    message: `tensor ${quoteName(name)}: element ${overflow} is ${data[overflow]}, ${type} ends at ${end}`,
    hint: 'store the checkpoint as float32',
    details: { name, index: overflow, value: data[overflow] },
  })
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
