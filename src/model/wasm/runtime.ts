// The kernels in the memory of tfjs's wasm backend: made once a backend, and how a result is allocated for them.
import * as tf from '@tensorflow/tfjs'
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm'
import { ATTENTION, PRODUCTS } from './modules.js'

/** Tensors are byte offsets in the memory; sizes are in floats. */
export interface Kernels {
  /** out = x * matrix. */
  multiply(x: number, matrix: number, out: number, rows: number, depth: number, width: number): void
  /** out += y. */
  add(out: number, y: number, count: number): void
  /** out = max(out, 0). */
  relu(out: number, count: number): void
  /** out = x / sqrt(sum of its squares + epsilon), row by row. */
  lengthNorm(x: number, out: number, rows: number, width: number, epsilon: number): void
  copy(to: number, from: number, count: number): void
  /** See `chooseOnWasm`; out has five floats. */
  choose(logits: number, out: number, count: number): void
  /** One query over `length` keys and values, one after the other in memory; `bias` 0: none; `scores`: length + 4 floats. */
  attend(
    query: number,
    key: number,
    value: number,
    bias: number,
    scores: number,
    out: number,
    length: number,
    width: number,
  ): void
}

/** What all kernels take at once of a row. */
export const WIDTH_STEP = 4
/** Bytes of a float. */
export const FLOAT = 4

/** By backend; null where they cannot be had. */
const made = new WeakMap<tf.KernelBackend, Kernels | null>()

/**
 * New float32 tensors of some shapes that `fill` writes, given where they and the inputs lie. Undefined on other backends,
 * without SIMD, or where an input is not of floats.
 */
export function onWasm(
  shapes: readonly number[][],
  inputs: readonly tf.Tensor[],
  fill: (kernels: Kernels, outputs: readonly number[], inputs: readonly number[]) => void,
): tf.Tensor[] | undefined {
  if (tf.getBackend() !== 'wasm' || inputs.some(({ dtype }) => dtype !== 'float32')) return undefined
  const backend = tf.backend() as BackendWasm
  const kernels = kernelsOf(backend)
  if (!kernels) return undefined
  const outputs = shapes.map((shape) => backend.makeOutput(shape, 'float32'))
  // Only now: making them may have grown the memory, and with it the views.
  const place = (tensor: tf.TensorInfo) => backend.typedArrayFromHeap(tensor).byteOffset
  fill(kernels, outputs.map(place), inputs.map(place))
  return outputs.map((output) => tf.engine().makeTensorFromTensorInfo(output))
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
  const modules = [PRODUCTS, ATTENTION].map((text) =>
    Uint8Array.from(atob(text), (character) => character.charCodeAt(0)),
  )
  if (!(asm?.memory instanceof WebAssembly.Memory) || !modules.every((bytes) => WebAssembly.validate(bytes)))
    return null
  const imports = { tfjs: { memory: asm.memory } }
  const instances = modules.map(
    (bytes) => new WebAssembly.Instance(new WebAssembly.Module(bytes as BufferSource), imports),
  )
  return Object.assign({}, ...instances.map(({ exports }) => exports)) as Kernels
}
