// The tensors that a safetensors file holds, as the reader returns them and the writer takes them.

/** Element types that are read. Files in other types are refused with `checkpoint.unsupported-dtype`. */
export type SafetensorsDtype = 'F32' | 'F16' | 'BF16' | 'I32' | 'I64' | 'U8'

/** Bytes of one element of each type. */
export const BYTES_PER_ELEMENT: Readonly<Record<SafetensorsDtype, number>> = {
  F32: 4,
  F16: 2,
  BF16: 2,
  I32: 4,
  I64: 8,
  U8: 1,
}

/** Values of a tensor in row-major order: floats widened to float32; I64 as integers of at most 2^53 - 1 in magnitude. */
export type TensorData = Float32Array | Int32Array | Float64Array | Uint8Array

/** What a file says of a tensor: the type it is stored in, and its shape. */
export interface TensorHeader {
  readonly dtype: SafetensorsDtype
  readonly shape: readonly number[]
}

/** A tensor with its values; `data.length` is the product of `shape`. */
export interface Tensor {
  readonly shape: readonly number[]
  readonly data: TensorData
}

/** A tensor as read: `dtype` is the type in the file. Float32Array for F32, F16, BF16; Float64Array for I64. */
export interface StoredTensor extends Tensor, TensorHeader {}

/** Number of elements of a shape, or undefined where a size or the product is no safe non-negative integer. */
export function countElements(shape: readonly unknown[]): number | undefined {
  let product = 1
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || (size as number) < 0) return undefined
    product *= size as number
    if (!Number.isSafeInteger(product)) return undefined
  }
  return product
}

/** The type that values are stored in where nothing else is asked for. */
export function dtypeOf(data: TensorData): SafetensorsDtype {
  if (data instanceof Float32Array) return 'F32'
  if (data instanceof Int32Array) return 'I32'
  return data instanceof Float64Array ? 'I64' : 'U8'
}

/** Whether a type is one of floats, all of which widen to float32. */
export function isFloat(dtype: SafetensorsDtype): boolean {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16'
}

/** A name for a message: quoted, escaped to one line, and cut where it is very long. */
export function quoteName(name: string): string {
  const quoted = JSON.stringify(name)
  return quoted.length <= 120 ? quoted : `${quoted.slice(0, 116)}..."`
}
