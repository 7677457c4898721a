// Kernels of our own in the memory of tfjs's wasm backend, for what a decoding step is made of. tfjs's product reads a
// matrix for a lone row at half the speed of the memory, and each of its operations costs more to start than a head's
// attention takes. scripts/wasm/kernels.ts has their source.
import * as tf from '@tensorflow/tfjs'
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm'
import { decodeModules, instantiate, isShared } from './instantiate.js'
import { HEAD, OPERATIONS, PACKED, PRODUCTS, QUANTISED } from './modules.js'
import { FLOAT, type Rows } from './rows.js'
import {
  JOB_BYTES,
  operandsOf,
  SharedJobs,
  type Helpers,
  type Operands,
  type SharedKind,
  type SharedWork,
} from './threads.js'

/** Values, their slacks, how many; and a bound's factor and rest: see scripts/wasm/kernels.ts, as for all that take it. */
type Scanned = readonly [values: number, slack: number, count: number, factor: number, rest: number]

/** What the modules export. Places are byte offsets in the memory, counts and widths are in floats. */
interface Exports extends Record<
  SharedKind,
  (...operands: [...Operands, block: number, last: number]) => void
> {
  /** out = x * matrix, which is plain; `depth` in {@link DEPTH_STEP}s. */
  multiply(x: number, matrix: number, out: number, rows: number, depth: number, width: number): void
  /** out += y; `count` in {@link LANES}, here and below. */
  add(out: number, y: number, count: number): void
  /** out = max(out, 0). */
  relu(out: number, count: number): void
  /** out = x / sqrt(sum of its squares + epsilon), row by row. */
  lengthNorm(x: number, out: number, rows: number, width: number, epsilon: number): void
  /** Strides in bytes; `depth` is in whole {@link LANES}. */
  quantise(
    x: number,
    xStride: number,
    out: number,
    outStride: number,
    rows: number,
    depth: number,
    steps: number,
  ): void
  /** Strides and widths in bytes. */
  copyRows(to: number, toStride: number, from: number, fromStride: number, rows: number, width: number): void
  /** Of rows with a gate and a linear part, `width` bytes each: gelu(gate) * linear. Strides in bytes. */
  gate(x: number, xStride: number, out: number, outStride: number, rows: number, width: number): void
  /** Eight floats: of each lane of four the largest, and then the second largest value less its bound. */
  lowestBest(...scanned: [...Scanned, out: number]): void
  /** Ids whose values with their bounds reach the limit; how many, `most` at most. */
  listAbove(...scanned: [...Scanned, limit: number, out: number, most: number]): number
  /** Two floats: the sum of exp(value - best), and how much it may be off. */
  massOf(...scanned: [...Scanned, best: number, out: number]): void
  /** x times columns of a plain matrix, whose rows are `stride` bytes; room in `out` for whole {@link LANES}. */
  columns(
    x: number,
    matrix: number,
    depth: number,
    stride: number,
    ids: number,
    count: number,
    out: number,
  ): void
  /** See {@link chooseRows}; out has five floats; `mass` 0: the probability is not asked for. */
  choose(logits: number, out: number, count: number, mass: 0 | 1): void
  /** See `appendKeyValues`, of a row's keys or values; strides in bytes. */
  append(
    past: number,
    present: number,
    from: number,
    fromStride: number,
    heads: number,
    before: number,
    positions: number,
    width: number,
  ): void
}

/** What all kernels take at once of a row. */
export const LANES = 4
/** What the product with a plain matrix takes at once of the inner size. */
const DEPTH_STEP = 16

/** By backend; null where they cannot be had. */
const made = new WeakMap<tf.KernelBackend, Kernels | null>()

/** Those of the current backend; undefined on another one than wasm, and without SIMD. */
export function currentKernels(): Kernels | undefined {
  if (tf.getBackend() !== 'wasm') return undefined
  const backend = tf.backend() as BackendWasm
  const known = made.get(backend)
  if (known !== undefined) return known ?? undefined
  const kernels = Kernels.on(backend)
  made.set(backend, kernels ?? null)
  return kernels
}

/** The kernels, and what it takes to use them: where tensors lie, new ones, and memory of one's own. */
export class Kernels {
  private shared: SharedJobs | undefined
  /** How others help with products; undefined: not at all. Where {@link canBeHelped}. */
  help: Helpers | undefined

  private constructor(
    private readonly backend: BackendWasm,
    private readonly memory: WebAssembly.Memory,
    readonly run: Exports,
  ) {}

  static on(backend: BackendWasm): Kernels | undefined {
    // What Emscripten exports is no part of tfjs's types.
    const { asm } = backend.wasm as unknown as { readonly asm?: { readonly memory?: unknown } }
    if (!(asm?.memory instanceof WebAssembly.Memory)) return undefined
    const texts = {
      products: PRODUCTS,
      packed: PACKED,
      quantised: QUANTISED,
      operations: OPERATIONS,
      head: HEAD,
    }
    const modules = decodeModules(texts, asm.memory)
    if (!Object.values(modules).every((bytes) => WebAssembly.validate(bytes))) return undefined
    return new Kernels(backend, asm.memory, instantiate(modules, asm.memory) as unknown as Exports)
  }

  get canBeHelped(): boolean {
    return isShared(this.memory)
  }

  /** Where a tensor lies. */
  at(tensor: tf.Tensor): number {
    return this.backend.getMemoryOffset(tensor.dataId)
  }

  /** A new float32 tensor, its content whatever was there. */
  make<T extends tf.Tensor>(shape: number[]): T {
    return tf.engine().makeTensorFromTensorInfo(this.backend.makeOutput(shape, 'float32')) as T
  }

  /**
   * [N, A] x [A, C] -> [N, C], to the last bit what tfjs computes: each sum in the order of A. Undefined where the kernel is
   * not for it.
   */
  multiply(x: tf.Tensor2D, matrix: tf.Tensor2D): tf.Tensor2D | undefined {
    const [rows, depth] = x.shape
    const width = matrix.shape[1]
    if (rows === 0 || depth === 0 || depth % DEPTH_STEP > 0 || width % LANES > 0) return undefined
    const out = this.make<tf.Tensor2D>([rows, width])
    this.run.multiply(this.at(x), this.at(matrix), this.at(out), rows, depth, width)
    return out
  }

  /** Work of a kind, with the threads that help. */
  share(kind: SharedKind, work: SharedWork): void {
    const { help, run } = this
    if (help && help.numThreads > 1 && SharedJobs.suits(work)) {
      this.shared ??= new SharedJobs(this.memory, this.allocate(JOB_BYTES))
      this.shared.run(kind, work, help)
    } else run[kind](...operandsOf(work), 0, work.numBlocks)
  }

  /** The memory as floats, for as long as nothing is allocated: the one at a byte offset is `heap[at / FLOAT]`. */
  get heap(): Float32Array {
    return this.module.HEAPF32
  }

  /** The same as whole numbers. */
  get words(): Int32Array {
    return this.module.HEAP32
  }

  /** The first `width` floats of so many rows. */
  copyRows(to: Rows, from: Rows, { rows, width }: { readonly rows: number; readonly width: number }): void {
    this.run.copyRows(to.at, FLOAT * to.stride, from.at, FLOAT * from.stride, rows, FLOAT * width)
  }

  /** Zeros; the caller frees them. */
  allocate(numBytes: number): number {
    const at = this.module._malloc(numBytes) >>> 0
    this.clear(at, numBytes)
    return at
  }

  clear(at: number, numBytes: number): void {
    this.module.HEAPU8.fill(0, at, at + numBytes)
  }

  free(at: number): void {
    this.module._free(at)
  }

  private get module() {
    return this.backend.wasm as unknown as {
      _malloc(numBytes: number): number
      _free(at: number): void
      readonly HEAPU8: Uint8Array
      readonly HEAPF32: Float32Array
      readonly HEAP32: Int32Array
    }
  }
}
