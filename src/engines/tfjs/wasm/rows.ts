// Rows of floats in the memory of tfjs's wasm backend.

/** Bytes of a float. */
export const FLOAT = 4

/** Rows, position after position. */
export interface Rows {
  /** Byte offset of the first one. */
  readonly at: number
  /** How many floats they are apart. */
  readonly stride: number
}

/** Rows from the `start`th on. */
export function rowsFrom({ at, stride }: Rows, start: number): Rows {
  return { at: at + FLOAT * start * stride, stride }
}
