// Kernels of our own on tfjs's wasm backend, in the same memory, for what a decoding step is made of. tfjs's product
// multiplies a lone row at half the speed of the memory, and two or four hardly faster than one by one; and each of its
// operations costs more to start than a norm takes. None has a gradient. scripts/wasm/kernels.ts has their source.
import * as tf from '@tensorflow/tfjs'
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm'
import { MODULE } from './module.js'

/** From here on tfjs's own product is as fast. */
const MAX_ROWS = 32
/** What the product takes of the inner size at once, and all kernels of the last one. */
const [DEPTH_STEP, WIDTH_STEP] = [16, 4]

/** Tensors are byte offsets in the memory; sizes are in numbers. */
interface Kernels {
  /** out = x * matrix. */
  multiply(x: number, matrix: number, out: number, rows: number, depth: number, width: number): void
  /** out += y. */
  add(out: number, y: number, count: number): void
  /** out = max(out, 0). */
  relu(out: number, count: number): void
  /** out = x / sqrt(sum of its squares + epsilon), row by row. */
  lengthNorm(x: number, out: number, rows: number, width: number, epsilon: number): void
}

/** By backend; null where they cannot be had. */
const made = new WeakMap<tf.KernelBackend, Kernels | null>()

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
  return onWasm([rows, width], [x, matrix, ...(added ? [added] : [])], (kernels, out, [from, by, other]) => {
    kernels.multiply(from, by, out, rows, depth, width)
    if (added) kernels.add(out, other, rows * width)
    if (relu) kernels.relu(out, rows * width)
  })
}

/**
 * x / sqrt(sum(x^2) + epsilon) over the last axis of x [N, D] -> [N, D]; a row's result does not depend on the others.
 * Undefined where the kernel is not for it.
 */
export function lengthNormOnWasm(x: tf.Tensor2D, epsilon: number): tf.Tensor2D | undefined {
  const [rows, width] = x.shape
  if (rows === 0 || width === 0 || width % WIDTH_STEP > 0) return undefined
  return onWasm([rows, width], [x], (kernels, out, [from]) => {
    kernels.lengthNorm(from, out, rows, width, epsilon)
  })
}

/** A new float32 tensor that `fill` writes, given where it and the inputs lie. */
function onWasm(
  shape: [number, number],
  inputs: readonly tf.Tensor[],
  fill: (kernels: Kernels, out: number, inputs: readonly number[]) => void,
): tf.Tensor2D | undefined {
  if (tf.getBackend() !== 'wasm' || inputs.some(({ dtype }) => dtype !== 'float32')) return undefined
  const backend = tf.backend() as BackendWasm
  const kernels = kernelsOf(backend)
  if (!kernels) return undefined
  const out = backend.makeOutput(shape, 'float32')
  // Only now: making it may have grown the memory, and with it the views.
  const [to, ...from] = [out, ...inputs].map((tensor) => backend.typedArrayFromHeap(tensor).byteOffset)
  fill(kernels, to, from)
  return tf.engine().makeTensorFromTensorInfo(out) as tf.Tensor2D
}

function kernelsOf(backend: BackendWasm): Kernels | null {
  const known = made.get(backend)
  if (known !== undefined) return known
  const kernels = makeKernels(backend)
  made.set(backend, kernels)
  return kernels
}

function makeKernels(backend: BackendWasm): Kernels | null {
  // What Emscripten exports is no part of tfjs's types.
  const { asm } = backend.wasm as unknown as { readonly asm?: { readonly memory?: unknown } }
  const bytes = Uint8Array.from(atob(MODULE), (character) => character.charCodeAt(0))
  if (!(asm?.memory instanceof WebAssembly.Memory) || !WebAssembly.validate(bytes)) return null
  const imports = { tfjs: { memory: asm.memory } }
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), imports).exports as unknown as Kernels
}
