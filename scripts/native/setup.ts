// `npm run setup:native`: builds the native backend under .native/ from npm and the Python package index alone.
// A build grows in a folder of its own and is renamed into place after it has been checked, so that a run that is
// killed leaves nothing the program would load; the next run sweeps up what it left.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ShallowDeepError } from '../../src/errors.js'
import { BUILD_RECORD, nativeFolder, packageRoot, readBuild } from '../../src/engines/tfjs/native.node.js'
import { build, findTools } from './build.js'
import { run, stopChildren, tellingLine } from './processes.js'
import { BUILDS, RECIPE, TENSORFLOW_VERSION, tfjsVersion } from './versions.js'
import type { BuildKind } from './versions.js'

interface CheckResult {
  readonly tensorflow: string
  readonly isUsingGpu: boolean
}

const usage = 'usage: npm run setup:native -- [--gpu] [--remove] [--folder <where, default .native>]'
let root = nativeFolder()
let partial: string | null = null

process.on('SIGINT', () => stop(130))
process.on('SIGTERM', () => stop(143))
try {
  process.exitCode = await main()
} catch (error) {
  discardPartial()
  if (!(error instanceof ShallowDeepError)) throw error
  console.error(`setup:native: ${error.message}${error.hint === undefined ? '' : ` (${error.hint})`}`)
  process.exitCode = error.kind === 'usage' ? 2 : 1
}

async function main(): Promise<number> {
  const { gpu, remove, folder } = readArguments()
  if (folder !== undefined) root = resolve(folder)
  const kind: BuildKind = gpu ? 'node-gpu' : 'node'
  if (remove) return removeBuilds(gpu ? 'node-gpu' : null)
  checkPlatform()
  if (gpu && !(await hasGpu())) return 0
  sweep()
  const target = join(root, BUILDS[kind].folder)
  const present = await checkPresent(target)
  if (present !== null) {
    say(`native backend (${BUILDS[kind].label}) is already there and works: ${describe(target, present)}`)
    return 0
  }
  const start = Date.now()
  const checked = await make(kind, target)
  say(
    `native backend (${BUILDS[kind].label}) built in ${seconds(start)} s and checked: ${describe(target, checked)}`,
  )
  return 0
}

function readArguments(): { gpu: boolean; remove: boolean; folder: string | undefined } {
  try {
    const { values } = parseArgs({
      options: { gpu: { type: 'boolean' }, remove: { type: 'boolean' }, folder: { type: 'string' } },
    })
    return { gpu: values.gpu ?? false, remove: values.remove ?? false, folder: values.folder }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new ShallowDeepError({ code: 'native.usage', message, hint: usage })
  }
}

/** Builds in a folder beside the target, checks, and only then puts it in the target's place. */
async function make(kind: BuildKind, target: string): Promise<CheckResult> {
  const tools = await findTools()
  mkdirSync(root, { recursive: true })
  checkRoom(kind)
  const folder = join(root, `partial-${process.pid}`)
  partial = folder
  mkdirSync(folder)
  const record = await build({ kind, folder, log: (line) => console.error(`setup:native: ${line}`) }, tools)
  writeFileSync(join(folder, BUILD_RECORD), `${JSON.stringify(record, null, 2)}\n`)
  const checked = await check(folder)
  const old = join(root, `old-${process.pid}`)
  if (existsSync(target)) renameSync(target, old)
  renameSync(folder, target)
  partial = null
  rmSync(old, { recursive: true, force: true })
  return checked
}

/** What the check of a present build says, or null when there is none, an outdated one, or one that fails. */
async function checkPresent(target: string): Promise<CheckResult | null> {
  const record = readBuild(target)?.record ?? null
  if (record === null) return null
  const isCurrent = record.recipe === RECIPE && record.tensorflow === TENSORFLOW_VERSION
  if (!isCurrent || record.tfjs !== tfjsVersion()) {
    console.error(
      `setup:native: the build there (tfjs ${record.tfjs}, TensorFlow ${record.tensorflow}) is outdated; building anew`,
    )
    return null
  }
  try {
    return await check(target)
  } catch (error) {
    console.error(`setup:native: the build there fails, building anew: ${(error as Error).message}`)
    return null
  }
}

/** Runs a matrix product in a child, through the loader that the program uses. Throws `native.check`. */
async function check(folder: string): Promise<CheckResult> {
  const script = fileURLToPath(new URL('./check.ts', import.meta.url))
  const finished = await run(process.execPath, [...process.execArgv, script, folder])
  if (finished.code === 0) {
    const result = JSON.parse(finished.stdout) as CheckResult & { isRight: boolean; product: number[] }
    if (result.isRight) return result
  }
  throw new ShallowDeepError({
    code: 'native.check',
    message: `the build does not compute a matrix product: ${tellingLine(finished).slice(0, 400)}`,
    kind: 'failure',
  })
}

async function hasGpu(): Promise<boolean> {
  const asked = await run('nvidia-smi', ['-L'])
  if (asked.code === 0 && asked.stdout.includes('GPU')) return true
  const why = asked.spawnError === null ? `nvidia-smi: ${tellingLine(asked)}` : 'nvidia-smi is not there'
  const hasCpuBuild = readBuild(join(root, BUILDS.node.folder)) !== null
  const rest = hasCpuBuild
    ? 'the CPU build is left in place'
    : `npm run ${BUILDS.node.script} makes the CPU build`
  say(`no GPU is present (${why}), so nothing was built; ${rest}`)
  return false
}

/** Removes one build, or with null everything under `.native/`. */
function removeBuilds(kind: BuildKind | null): number {
  const folder = kind === null ? root : join(root, BUILDS[kind].folder)
  const wasThere = existsSync(folder)
  rmSync(folder, { recursive: true, force: true })
  say(wasThere ? `removed ${shown(folder)}` : `nothing to remove: ${shown(folder)} is not there`)
  return 0
}

/** Deletes what killed runs left: folders named after a process that no longer runs. */
function sweep(): void {
  if (!existsSync(root)) return
  for (const name of readdirSync(root)) {
    const owner = Number(/^(?:partial|old)-(\d+)$/.exec(name)?.[1] ?? NaN)
    if (!Number.isNaN(owner) && !isRunning(owner)) rmSync(join(root, name), { recursive: true, force: true })
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function checkPlatform(): void {
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
  const hasGlibc = report.header.glibcVersionRuntime !== undefined
  if (process.platform === 'linux' && hasGlibc && ['x64', 'arm64'].includes(process.arch)) return
  const system = process.platform === 'linux' && !hasGlibc ? 'linux without glibc' : process.platform
  throw new ShallowDeepError({
    code: 'native.unsupported-platform',
    message: `the native set-up supports Linux with glibc on x64 and arm64; this is ${system} on ${process.arch}`,
    hint: 'the wasm backend works everywhere and needs no set-up; an installed @tensorflow/tfjs-node is used too',
    kind: 'failure',
  })
}

function checkRoom(kind: BuildKind): void {
  const { bavail, bsize } = statfsSync(root)
  const needed = BUILDS[kind].needsBytes
  if (bavail * bsize >= needed) return
  throw new ShallowDeepError({
    code: 'native.disk-full',
    message: `building needs about ${gigabytes(needed)} GB in ${shown(root)}; ${gigabytes(bavail * bsize)} GB are free`,
    hint: 'make room and run it again',
    kind: 'failure',
  })
}

function stop(code: number): void {
  stopChildren()
  discardPartial()
  console.error('setup:native: interrupted; nothing was changed')
  process.exit(code)
}

function discardPartial(): void {
  if (partial !== null) rmSync(partial, { recursive: true, force: true, maxRetries: 5 })
}

function describe(folder: string, { tensorflow, isUsingGpu }: CheckResult): string {
  return `${shown(folder)}, tfjs-node ${tfjsVersion()} on TensorFlow ${tensorflow}${isUsingGpu ? ', using the GPU' : ''}`
}

function shown(folder: string): string {
  return relative(packageRoot(), folder)
}

function seconds(start: number): string {
  return ((Date.now() - start) / 1000).toFixed(0)
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1)
}

function say(line: string): void {
  console.log(`setup:native: ${line}`)
}
