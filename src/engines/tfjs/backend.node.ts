// Choice of the tfjs backend under Node: to train, the native one when a build of it loads, else wasm; to decode, a GPU or
// wasm, which decodes fastest on a processor; plain cpu only when asked for. Also the account of it that `shallowdeep
// info` prints.
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import * as tf from '@tensorflow/tfjs'
import { ShallowDeepError, suggestNearest } from '../../errors.js'
import { BACKEND_NAMES, activate, activateWasm, requireOneThread, unavailable } from './backend.js'
import type { BackendName, ChosenBackend } from './backend.js'
import { NATIVE_TFJS_NAME, findNativeBuilds, loadNative, nativeFolder, nativeThreads } from './native.node.js'
import type { LoadedNative, NativeBuild } from './native.node.js'
import { currentKernels } from './wasm/kernels.js'
import { sharedWasmUrls, startThread } from './wasm/threads.node.js'

export interface NodeBackendOptions {
  /** Neutral: undefined, which takes what is fastest for the purpose. */
  readonly backend?: BackendName
  /** Neutral: training. */
  readonly purpose?: 'training' | 'decoding'
  /** Threads inside one operation, for the whole process. Neutral: undefined (native and wasm: all cores; cpu: 1). */
  readonly threads?: number
  /** Where to look for builds of scripts/native. Neutral: `.native` beside this package's package.json. */
  readonly nativeFolder?: string
}

/** A backend that `describeBackends` knows of. */
export interface BackendDescription {
  readonly name: BackendName
  /** Present here; whether a native build also loads is known only of the one chosen. */
  readonly isPresent: boolean
  /** One sentence: version, or what is missing and how to get it. */
  readonly detail: string
  /** For native builds, the folder relative to the package root. */
  readonly location?: string
}

export interface BackendReport {
  /** To train. */
  readonly chosen: ChosenBackend
  /** To decode. */
  readonly decoding: ChosenBackend
  readonly backends: readonly BackendDescription[]
  /** `node`, and what the chosen backend reports: `tfjs`, `tensorflow`, `wasm`. */
  readonly versions: Readonly<Record<string, string>>
  /** Most threads an operation can use, by kind of backend. */
  readonly threads: Readonly<{ native: number; wasm: number; cpu: number }>
}

const SETUP_HINT = 'run npm run setup:native, or take --backend wasm'
const DECODES_FASTEST = 'decodes fastest on a processor'
const SETUP_GPU_HINT = 'run npm run setup:native:gpu, or take --backend node or wasm'

/**
 * Makes a backend current and returns it. Without a name: to train the first native build that loads, else wasm, and to
 * decode a native build that sees a GPU, else wasm; `reason` says why a build that is there was passed over. With a name:
 * that one or an error, never another. Prints nothing.
 * Throws `engine.backend-unknown`, `engine.backend-unavailable`, `engine.threads-unsupported` (more than one thread for
 * cpu, or for wasm that was started without shared memory) and `engine.threads-fixed` (native is loaded with another number of threads).
 */
export async function chooseBackend(options: NodeBackendOptions = {}): Promise<ChosenBackend> {
  const { backend, threads } = options
  checkOptions(options)
  if (backend === 'webgl' || backend === 'webgpu') {
    throw unavailable(backend, 'it runs in browsers only', 'under Node take node, node-gpu or wasm')
  }
  if (backend === 'wasm') return chooseWasm(threads, 'asked for')
  if (backend === 'cpu') return chooseCpu(threads)
  const { purpose = 'training' } = options
  return backend === undefined && purpose === 'decoding' ? chooseToDecode(options) : chooseNative(options)
}

/**
 * What `shallowdeep info` tells: the backends that are there, and those `options` choose, which it makes current in order
 * to know, the one to train last. Throws as `chooseBackend` does.
 */
export async function describeBackends(options: NodeBackendOptions = {}): Promise<BackendReport> {
  const builds = findNativeBuilds(options.nativeFolder ?? nativeFolder())
  const decoding = await chooseBackend({ ...options, purpose: 'decoding' })
  const chosen = await chooseBackend({ ...options, purpose: 'training' })
  const hasSimd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')
  return {
    chosen,
    decoding,
    backends: [
      ...(['node-gpu', 'node'] as const).flatMap((kind) => describeNative(kind, builds)),
      {
        name: 'wasm',
        isPresent: true,
        detail: `tfjs-backend-wasm ${tf.version.tfjs}, ${hasSimd ? 'SIMD' : 'no SIMD'}`,
      },
      { name: 'cpu', isPresent: true, detail: 'plain JavaScript, many times slower; only when asked for' },
    ],
    versions: { node: process.versions.node, ...chosen.versions },
    threads: { native: nativeThreads(), wasm: hasSimd ? availableParallelism() : 1, cpu: 1 },
  }
}

function checkOptions({ backend, threads }: NodeBackendOptions): void {
  if (backend !== undefined && !BACKEND_NAMES.includes(backend)) {
    const nearest = suggestNearest(backend, BACKEND_NAMES)
    throw new ShallowDeepError({
      code: 'engine.backend-unknown',
      message: `unknown backend ${backend}; expected one of ${BACKEND_NAMES.join(', ')}`,
      hint: nearest === undefined ? undefined : `did you mean ${nearest}?`,
      details: { backend },
    })
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1)) {
    throw new ShallowDeepError({
      code: 'engine.threads-unsupported',
      message: `threads must be a whole number from 1 up, not ${threads}`,
      details: { threads },
    })
  }
}

async function chooseNative(options: NodeBackendOptions): Promise<ChosenBackend> {
  const { backend, threads } = options
  const builds = findNativeBuilds(options.nativeFolder ?? nativeFolder())
  const candidates = builds.filter((build) => backend === undefined || build.kind === backend)
  const failures: ShallowDeepError[] = []
  for (const build of candidates) {
    try {
      const native = loadNative(build, threads)
      return await activateNative(native, backend, failures)
    } catch (error) {
      if (!(error instanceof ShallowDeepError) || error.code === 'engine.threads-fixed') throw error
      failures.push(error)
    }
  }
  const tried = failures.map(tellWhy).join('; ')
  if (backend !== undefined) {
    const hint = backend === 'node-gpu' ? SETUP_GPU_HINT : SETUP_HINT
    const nothing = `no build in .native and no ${packageOf(backend)} package`
    throw unavailable(backend, tried === '' ? nothing : tried, failures[0]?.hint ?? hint, failures[0])
  }
  return chooseWasm(
    threads,
    tried === ''
      ? 'no native build is present (npm run setup:native makes one)'
      : `native was passed over: ${tried}`,
  )
}

/** A GPU, or wasm: its kernels read weights faster than TensorFlow's on a processor. */
async function chooseToDecode(options: NodeBackendOptions): Promise<ChosenBackend> {
  const folder = options.nativeFolder ?? nativeFolder()
  const hasGpuBuild = findNativeBuilds(folder).some(({ kind }) => kind === 'node-gpu')
  if (!hasGpuBuild) return chooseWasm(options.threads, DECODES_FASTEST)
  try {
    return await chooseNative({ ...options, backend: 'node-gpu' })
  } catch (error) {
    if (!(error instanceof ShallowDeepError) || error.code === 'engine.threads-fixed') throw error
    return chooseWasm(options.threads, `${DECODES_FASTEST}; passed over: ${tellWhy(error)}`)
  }
}

async function activateNative(
  native: LoadedNative,
  asked: BackendName | undefined,
  failures: readonly ShallowDeepError[],
): Promise<ChosenBackend> {
  const { build, isUsingGpu } = native
  if (asked === 'node-gpu' && !isUsingGpu) {
    throw unavailable(
      'node-gpu',
      `${build.location} loads, but TensorFlow sees no GPU`,
      'take --backend node or wasm',
    )
  }
  await activate(NATIVE_TFJS_NAME, SETUP_HINT, build.kind)
  const passedOver = failures.map((failure) => `; passed over: ${tellWhy(failure)}`).join('')
  const withoutGpu =
    build.kind === 'node-gpu' && !isUsingGpu ? ', which sees no GPU and computes on the CPU' : ''
  const why = asked === undefined ? 'a native build is present' : 'asked for'
  return {
    name: isUsingGpu ? 'node-gpu' : 'node',
    reason: `${why}: ${build.location}${withoutGpu}${passedOver}`,
    versions: { tfjs: tf.version.tfjs, tensorflow: native.tensorflow },
    threads: native.threads,
  }
}

/** An error's message without the frame that the error which quotes it puts around it. */
function tellWhy(failure: ShallowDeepError): string {
  return typeof failure.details.why === 'string' ? failure.details.why : failure.message
}

async function chooseWasm(threads: number | undefined, reason: string): Promise<ChosenBackend> {
  const numThreads = threads ?? availableParallelism()
  const before = process.listeners('unhandledRejection')
  try {
    const chosen = await activateWasm(sharedWasmUrls, reason)
    const kernels = currentKernels()
    if (!kernels?.canBeHelped) {
      requireOneThread('wasm', threads)
      return chosen
    }
    kernels.help = { numThreads, start: startThread }
    return { ...chosen, threads: numThreads }
  } finally {
    // The wasm module's start-up code installs a listener that rethrows every unhandled rejection of the process.
    for (const listener of process.listeners('unhandledRejection')) {
      if (!before.includes(listener)) process.off('unhandledRejection', listener)
    }
  }
}

async function chooseCpu(threads: number | undefined): Promise<ChosenBackend> {
  requireOneThread('cpu', threads)
  await activate('cpu', 'take wasm')
  // Else its first use prints an advertisement for tfjs-node.
  const backend = tf.backend() as tf.KernelBackend & { firstUse?: boolean }
  backend.firstUse = false
  return { name: 'cpu', reason: 'asked for', versions: { tfjs: tf.version.tfjs }, threads: 1 }
}

function describeNative(kind: 'node' | 'node-gpu', builds: readonly NativeBuild[]): BackendDescription[] {
  const ofKind = builds.filter((build) => build.kind === kind)
  if (ofKind.length === 0) {
    const command = kind === 'node-gpu' ? 'npm run setup:native:gpu' : 'npm run setup:native'
    return [{ name: kind, isPresent: false, detail: `not here; ${command} builds it` }]
  }
  return ofKind.map(({ bindingFile, record, tfjs, location }) => ({
    name: kind,
    isPresent: bindingFile !== null && existsSync(bindingFile),
    detail:
      bindingFile === null
        ? `${packageOf(kind)} ${tfjs} without its compiled binding`
        : `tfjs-node ${tfjs}${record === null ? '' : `, ${record.wheel} ${record.tensorflow}`}`,
    location,
  }))
}

function packageOf(kind: BackendName): string {
  return kind === 'node-gpu' ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node'
}
