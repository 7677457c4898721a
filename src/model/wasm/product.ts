// Products of a few rows, what is done to them, and the norm.
import type * as tf from '@tensorflow/tfjs'
import { onWasm, WIDTH_STEP } from './runtime.js'

/** From here on tfjs's own product is as fast. */
const MAX_ROWS = 32
/** What the product takes of the inner size at once. */
const DEPTH_STEP = 16

/** What is done to a product [N, C]: `added` [N, C] to it, or a ReLU. */
export interface ProductEnd {
  readonly added?: tf.Tensor2D
  readonly relu?: boolean
}

/**
 * [N, A] x [A, C] -> [N, C], to the last bit what tfjs's operations compute there: each sum in the order of A. Undefined
 * where the kernel is not for it: another backend than wasm, no SIMD, many rows, odd sizes.
 */
export function multiplyOnWasm(
  x: tf.Tensor,
  matrix: tf.Tensor,
  { added, relu = false }: ProductEnd = {},
): tf.Tensor2D | undefined {
  if (x.rank !== 2 || matrix.rank !== 2) return undefined
  const [rows, depth] = x.shape
  const [inner, width] = matrix.shape
  if (!(rows > 0 && rows <= MAX_ROWS && depth === inner && depth > 0 && width > 0)) return undefined
  if (depth % DEPTH_STEP > 0 || width % WIDTH_STEP > 0) return undefined
  const inputs = [x, matrix, ...(added ? [added] : [])]
  const made = onWasm([[rows, width]], inputs, (kernels, [out], [from, by, other]) => {
    kernels.multiply(from, by, out, rows, depth, width)
    if (added) kernels.add(out, other, rows * width)
    if (relu) kernels.relu(out, rows * width)
  })
  return made?.[0] as tf.Tensor2D | undefined
}

/**
 * x / sqrt(sum(x^2) + epsilon) over the last axis of x [N, D] -> [N, D]; a row's result does not depend on the others.
 * Undefined where the kernel is not for it.
 */
export function lengthNormOnWasm(x: tf.Tensor2D, epsilon: number): tf.Tensor2D | undefined {
  const [rows, width] = x.shape
  if (rows === 0 || width === 0 || width % WIDTH_STEP > 0) return undefined
  const made = onWasm([[rows, width]], [x], (kernels, [out], [from]) => {
    kernels.lengthNorm(from, out, rows, width, epsilon)
  })
  return made?.[0] as tf.Tensor2D | undefined
}
