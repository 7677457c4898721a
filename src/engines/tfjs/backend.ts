// Choice of the tfjs backend, browser-safe: names, the one place where a backend is made current and checked, wasm.
// tfjs itself falls back to the next backend it knows when one fails; here that is an error. backend.node.ts adds
// what Node has beyond the browser.
import * as tf from '@tensorflow/tfjs'
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm'
import { ShallowDeepError } from '../../errors.js'

/** The backends a user can name. `node` and `node-gpu` are TensorFlow's C library under Node. */
export const BACKEND_NAMES = ['wasm', 'node', 'node-gpu', 'cpu', 'webgl', 'webgpu'] as const
export type BackendName = (typeof BACKEND_NAMES)[number]

/** The backend that was made current. */
export interface ChosenBackend {
  /** The name as users write it (`--backend`); tfjs itself calls `node` and `node-gpu` "tensorflow". */
  readonly name: BackendName
  /** One sentence: why this one. */
  readonly reason: string
  /** Versions of what computes: `tfjs`, and `tensorflow` or `wasm` where they apply. */
  readonly versions: Readonly<Record<string, string>>
  /** Threads inside one operation. */
  readonly threads: number
}

export interface BrowserBackendOptions {
  /** Neutral: undefined, which takes wasm. */
  readonly backend?: BackendName
  /** One is all that tfjs has in a browser. Neutral: undefined. */
  readonly threads?: number
  /** The folder, as a URL ending in `/`, from which the `.wasm` files are served. Neutral: beside the script. */
  readonly wasmPath?: string
}

/**
 * Makes a backend current in a browser and returns it: the one asked for, else wasm; `cpu` only when asked for.
 * Throws `engine.backend-unavailable` when tfjs could not start it, `engine.threads-unsupported` when more threads were
 * asked for than the backend can have here.
 */
export async function chooseBackend(options: BrowserBackendOptions = {}): Promise<ChosenBackend> {
  const name = options.backend ?? 'wasm'
  const why = options.backend === undefined ? 'the default in browsers' : 'asked for'
  if (name === 'node' || name === 'node-gpu') {
    throw unavailable(name, 'it runs under Node only', 'use wasm, webgl or webgpu in a browser')
  }
  requireOneThread(name, options.threads)
  if (name === 'wasm') return activateWasm(options.wasmPath, why)
  await activate(name, browserHint(name))
  return { name, reason: why, versions: { tfjs: tf.version.tfjs }, threads: 1 }
}

/** A folder's URL; or what gives a URL for each of tfjs's `.wasm` files, to be fetched as the platform fetches. */
export type WasmFiles = string | (() => Promise<Record<string, string>>)

/** Makes wasm current and returns it, with one thread. `reason` is passed on, with a word on SIMD. Throws as `activate` does. */
export async function activateWasm(files: WasmFiles | undefined, reason: string): Promise<ChosenBackend> {
  if (files !== undefined && !hasStarted('wasm')) {
    if (typeof files === 'string') setWasmPaths(files)
    else setWasmPaths(await files(), true)
  }
  const hasSimd = await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT')
  // In isolated pages tfjs 4.22 would take its build with threads, which computes on one all the same (its pool answers 1)
  // and starts eight workers that never run.
  tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false)
  await activate('wasm', 'check that the .wasm files are where wasmPath says')
  const simd = hasSimd ? 'SIMD' : 'no SIMD'
  return {
    name: 'wasm',
    reason: hasSimd ? reason : `${reason}; this machine has no wasm SIMD, so it is slow`,
    versions: { tfjs: tf.version.tfjs, wasm: `${tf.version.tfjs} (${simd})` },
    threads: 1,
  }
}

/**
 * Makes the tfjs backend `tfjsName` current and checks that it has started; when it has not, the one that was current
 * before is current again. tfjs writes why a start failed to the console; that text goes into the error instead. Throws
 * `engine.backend-unavailable` under the name `shownName` (default the same).
 */
export async function activate(tfjsName: string, hint: string, shownName: string = tfjsName): Promise<void> {
  const engine = tf.engine()
  if (engine.registryFactory[tfjsName] === undefined) {
    throw unavailable(shownName, 'it is not registered with tfjs', hint)
  }
  const previous = engine.backendName
  const messages: string[] = []
  const consoleWarn = console.warn
  console.warn = (...words: unknown[]) => void messages.push(words.map(String).join(' '))
  let isSet: boolean
  try {
    isSet = await tf.setBackend(tfjsName)
  } finally {
    console.warn = consoleWarn
  }
  // After a failed start tfjs answers the name that was asked for all the same, and its next operation would start
  // whatever else it knows: the name alone proves nothing.
  const current = tf.getBackend()
  if (isSet && current === tfjsName && hasStarted(tfjsName)) return
  if (previous !== undefined && previous !== tfjsName && hasStarted(previous)) await tf.setBackend(previous)
  const said = messages.map(oneLine).join(': ')
  throw unavailable(shownName, said === '' ? `tfjs chose ${current} instead` : said, hint)
}

function hasStarted(tfjsName: string): boolean {
  return tf.engine().registry[tfjsName] !== undefined
}

/** The error for a backend that was asked for and can't be had: `engine.backend-unavailable`. */
export function unavailable(name: string, why: string, hint: string, cause?: unknown): ShallowDeepError {
  return new ShallowDeepError({
    code: 'engine.backend-unavailable',
    message: `backend ${name} is not available: ${why}`,
    hint,
    details: { backend: name, why },
    cause,
  })
}

/** Throws `engine.threads-unsupported` when more than one thread is asked of a backend that has one. */
export function requireOneThread(name: string, threads: number | undefined): void {
  if (threads === undefined || threads === 1) return
  throw new ShallowDeepError({
    code: 'engine.threads-unsupported',
    message: `backend ${name} has one thread here, but ${threads} were asked for`,
    hint: 'leave the number of threads out, or use a backend with threads (node under Node)',
    details: { backend: name, threads },
  })
}

function browserHint(name: BackendName): string {
  if (name === 'webgpu')
    return 'install @tensorflow/tfjs-backend-webgpu and import it before, in a browser with WebGPU'
  if (name === 'webgl') return 'WebGL needs a browser; wasm runs everywhere'
  return 'use wasm'
}

function oneLine(text: string): string {
  return text.split('\n')[0].slice(0, 200)
}
