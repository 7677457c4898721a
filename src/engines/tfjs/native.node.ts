// The native backend under Node: where builds of the tfjs-node binding may lie (.native/ at the package root, made by
// scripts/native, or an installed @tensorflow/tfjs-node package) and how one of them is loaded and registered.
// tfjs-node's own entry file is passed by: it wants a downloader's packages, prints, and makes itself the backend while
// loading. Here only its kernels, its backend class and the binding are loaded; the caller decides when it becomes the backend.
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import util from 'node:util'
import * as tf from '@tensorflow/tfjs'
import { ShallowDeepError } from '../../errors.js'
import { offerGraphs } from './graph/runtime.js'
import { savedModelRuntime, type SavedModelBackend } from './graph/savedModel.node.js'

/** The name under which tfjs-node's kernels are registered with tfjs, CPU and GPU alike. */
export const NATIVE_TFJS_NAME = 'tensorflow'
/** File that a finished build of scripts/native carries; a folder without it is not a build. */
export const BUILD_RECORD = 'build.json'
/** The addon, beside that file, that holds back what TensorFlow writes to standard error while it is being loaded. */
export const QUIET_ADDON = 'quiet.node'

/** What scripts/native writes beside a build: everything the build was made from. */
export interface BuildRecord {
  readonly kind: 'node' | 'node-gpu'
  /** Counts up when the steps that make a build change; an older build is then made anew. */
  readonly recipe: number
  /** Version of tfjs (and of tfjs-node) that the binding's JavaScript belongs to. */
  readonly tfjs: string
  readonly tensorflow: string
  readonly wheel: string
  readonly python: string
  readonly compiler: string
  readonly nodeApiHeaders: string
}

/** A native build that was found; nothing of it has been loaded yet. */
export interface NativeBuild {
  readonly kind: 'node' | 'node-gpu'
  /** The folder of the tfjs-node package, with `dist/` and `lib/`. */
  readonly packageFolder: string
  /** The compiled binding, or null where the package lies there without one. */
  readonly bindingFile: string | null
  /** Where it lies, relative to the package root: `.native/cpu`, `node_modules/@tensorflow/tfjs-node`. */
  readonly location: string
  /** tfjs version that it was made for. */
  readonly tfjs: string
  readonly record: BuildRecord | null
}

/** A build after loading. */
export interface LoadedNative {
  readonly build: NativeBuild
  /** TensorFlow's version as the loaded library tells it. */
  readonly tensorflow: string
  readonly isUsingGpu: boolean
  /** Threads inside one operation. */
  readonly threads: number
}

interface Binding {
  readonly TF_Version: string
  isUsingGpuDevice(): boolean
}

interface QuietAddon {
  hold(): void
  release(): string
}

interface BackendModule {
  readonly NodeJSKernelBackend: new (binding: Binding, packageName: string) => SavedModelBackend
}

let loaded: LoadedNative | null = null

/** The root of this package: the folder of package.json, in the source tree and in a built package alike. */
export function packageRoot(): string {
  return fileURLToPath(new URL('../../../', import.meta.url))
}

/** The folder in which scripts/native keeps builds: `.native` beside package.json. */
export function nativeFolder(): string {
  return join(packageRoot(), '.native')
}

/**
 * The native builds that are there, best first: GPU builds lead when this machine shows an NVIDIA device, else they come
 * last; at equal kind `.native` comes before an installed package. Packages without a compiled binding are listed too
 * (`bindingFile` null), so that a report can name them.
 */
export function findNativeBuilds(folder: string = nativeFolder()): NativeBuild[] {
  const builds = [
    readBuild(join(folder, 'gpu')),
    readBuild(join(folder, 'cpu')),
    readInstalled('node-gpu', '@tensorflow/tfjs-node-gpu'),
    readInstalled('node', '@tensorflow/tfjs-node'),
  ].filter((build): build is NativeBuild => build !== null)
  const firstKind = hasGpuDevice() ? 'node-gpu' : 'node'
  return [...builds.filter((b) => b.kind === firstKind), ...builds.filter((b) => b.kind !== firstKind)]
}

/** The build in one folder made by scripts/native, or null when there is none that was finished. */
export function readBuild(folder: string): NativeBuild | null {
  const recordFile = join(folder, BUILD_RECORD)
  let record: BuildRecord
  try {
    record = JSON.parse(readFileSync(recordFile, 'utf8')) as BuildRecord
  } catch {
    return null
  }
  const packageFolder = join(folder, 'node_modules', '@tensorflow', 'tfjs-node')
  return {
    kind: record.kind,
    packageFolder,
    bindingFile: findBinding(packageFolder),
    location: relative(packageRoot(), folder),
    tfjs: record.tfjs,
    record,
  }
}

/**
 * Loads a build, registers its kernels and the backend `tensorflow` with tfjs, and returns what was loaded. It does not
 * make it the current backend and prints nothing. `threads` (neutral: undefined, all cores or TF_NUM_INTRAOP_THREADS)
 * holds for the whole process. Throws `engine.native-load` when the build can't be used, and `engine.threads-fixed`
 * when another native build or another number of threads is already loaded.
 */
export function loadNative(build: NativeBuild, threads?: number): LoadedNative {
  if (loaded !== null) return reuse(loaded, build, threads)
  const require = createRequire(join(build.packageFolder, 'package.json'))
  checkMatches(build, require)
  const restore = setEnvironment(build.kind, threads)
  try {
    putBackUtil()
    const binding = loadBinding(build, require)
    require('./dist/register_all_kernels.js')
    const module = require('./dist/nodejs_kernel_backend.js') as BackendModule
    const backend = new module.NodeJSKernelBackend(
      binding,
      build.kind === 'node-gpu' ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node',
    )
    tf.registerBackend(NATIVE_TFJS_NAME, () => backend, 3)
    // Of other builds than ours it is not known whether their TensorFlow has all of a graph's operations.
    if (build.record !== null && !binding.isUsingGpuDevice()) offerGraphs(backend, savedModelRuntime(backend))
    loaded = {
      build,
      tensorflow: binding.TF_Version,
      isUsingGpu: binding.isUsingGpuDevice(),
      threads: nativeThreads(),
    }
    return loaded
  } catch (error) {
    restore()
    throw loadError(build, firstLine(error), error)
  }
}

/** Loads the compiled binding, silently unless the user chose a log level or it fails. */
function loadBinding(build: NativeBuild, require: NodeJS.Require): Binding {
  const addonFile = join(build.packageFolder, '..', '..', '..', QUIET_ADDON)
  const addon = build.record !== null && existsSync(addonFile) ? (require(addonFile) as QuietAddon) : null
  const showAll = Number(process.env.TF_CPP_MIN_LOG_LEVEL) < 2
  if (addon === null || showAll) return require(build.bindingFile as string) as Binding
  addon.hold()
  try {
    return require(build.bindingFile as string) as Binding
  } catch (error) {
    const said = addon.release().trim().replaceAll('\n', ' ')
    throw said === '' ? error : new Error(`${firstLine(error)}; TensorFlow wrote: ${said}`, { cause: error })
  } finally {
    addon.release()
  }
}

/** The native build that this process has loaded, if any. */
export function loadedNative(): LoadedNative | null {
  return loaded
}

/** Threads inside one native operation with the environment as it is: TF_NUM_INTRAOP_THREADS, else the cores. */
export function nativeThreads(): number {
  const fromEnvironment = Number(process.env.TF_NUM_INTRAOP_THREADS)
  return Number.isInteger(fromEnvironment) && fromEnvironment > 0 ? fromEnvironment : availableParallelism()
}

function readInstalled(kind: 'node' | 'node-gpu', name: string): NativeBuild | null {
  let packageFolder: string
  try {
    packageFolder = dirname(createRequire(import.meta.url).resolve(`${name}/package.json`))
  } catch {
    return null
  }
  const { version } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as {
    version: string
  }
  return {
    kind,
    packageFolder,
    bindingFile: findBinding(packageFolder),
    location: relative(packageRoot(), packageFolder),
    tfjs: version,
    record: null,
  }
}

function findBinding(packageFolder: string): string | null {
  const lib = join(packageFolder, 'lib')
  if (!existsSync(lib)) return null
  const versions = readdirSync(lib)
    .map((name) => ({ name, napi: Number(/^napi-v(\d+)$/.exec(name)?.[1] ?? NaN) }))
    .filter(({ napi }) => napi <= Number(process.versions.napi))
    .sort((a, b) => b.napi - a.napi)
  for (const { name } of versions) {
    const file = join(lib, name, 'tfjs_binding.node')
    if (existsSync(file)) return file
  }
  return null
}

/** NVIDIA's driver shows itself as one of these (the last one under WSL); asking nvidia-smi would take a second. */
function hasGpuDevice(): boolean {
  return ['/dev/nvidiactl', '/proc/driver/nvidia/version', '/dev/dxg'].some((file) => existsSync(file))
}

function reuse(current: LoadedNative, build: NativeBuild, threads: number | undefined): LoadedNative {
  const isSameBuild = current.build.packageFolder === build.packageFolder
  if (isSameBuild && (threads === undefined || threads === current.threads)) return current
  throw new ShallowDeepError({
    code: 'engine.threads-fixed',
    message: isSameBuild
      ? `the native backend was loaded with ${current.threads} threads; ${threads} were asked for`
      : `the native build ${current.build.location} is loaded already; ${build.location} was asked for`,
    hint: 'TensorFlow reads both once for a process: start another process',
    details: { loaded: current.build.location, threads: current.threads },
  })
}

/** Two copies of tfjs would keep two registries of kernels: the build must resolve to the very copy this module uses. */
function checkMatches(build: NativeBuild, require: NodeJS.Require): void {
  if (build.bindingFile === null) {
    throw loadError(
      build,
      'the package is there, but its compiled binding (lib/napi-v*/tfjs_binding.node) is not',
    )
  }
  if (build.tfjs !== tf.version.tfjs) {
    throw loadError(build, `it was made for tfjs ${build.tfjs}, this is tfjs ${tf.version.tfjs}`)
  }
  const ours = createRequire(import.meta.url)
  for (const name of ['@tensorflow/tfjs', '@tensorflow/tfjs-core']) {
    let theirs: string
    try {
      theirs = realpathSync(require.resolve(name))
    } catch (error) {
      throw loadError(build, `it can't reach ${name}`, error)
    }
    if (theirs !== realpathSync(ours.resolve(name)))
      throw loadError(build, `it has a copy of ${name} of its own`)
  }
}

/** Sets what TensorFlow reads while it loads; returns a function that undoes it. A variable the user set stays. */
function setEnvironment(kind: NativeBuild['kind'], threads: number | undefined): () => void {
  const wanted: Record<string, string> = {}
  // 2 hides information and warnings (CPU features, oneDNN), 3 would hide errors too.
  if (process.env.TF_CPP_MIN_LOG_LEVEL === undefined) wanted.TF_CPP_MIN_LOG_LEVEL = '2'
  if (kind === 'node-gpu') {
    // Else TensorFlow takes all of the card's memory, and rounds the factors of matrix products to 10 bits (TF32).
    if (process.env.TF_FORCE_GPU_ALLOW_GROWTH === undefined) wanted.TF_FORCE_GPU_ALLOW_GROWTH = 'true'
    if (process.env.NVIDIA_TF32_OVERRIDE === undefined) wanted.NVIDIA_TF32_OVERRIDE = '0'
  }
  if (threads !== undefined) {
    wanted.TF_NUM_INTRAOP_THREADS = String(threads)
    wanted.OMP_NUM_THREADS = String(threads)
  }
  const before = Object.keys(wanted).map((name) => [name, process.env[name]] as const)
  Object.assign(process.env, wanted)
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name]
      else process.env[name] = value
    }
  }
}

/**
 * tfjs-node 4.22 calls three functions of `node:util` that Node 22 warns about and Node 23 removed. The replacements
 * do the same without a warning.
 */
function putBackUtil(): void {
  const target = util as unknown as Record<string, unknown>
  if (Number(process.versions.node.split('.')[0]) < 22) return
  target.isNullOrUndefined = (value: unknown) => value === null || value === undefined
  target.isArray = Array.isArray
}

function loadError(build: NativeBuild, why: string, cause?: unknown): ShallowDeepError {
  return new ShallowDeepError({
    code: 'engine.native-load',
    message: `the native build in ${build.location} can't be used: ${why}`,
    hint:
      build.record === null
        ? 'install it again with its install script allowed'
        : 'run npm run setup:native again',
    details: { location: build.location, bindingFile: build.bindingFile },
    cause,
    kind: 'failure',
  })
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]
}
