// The steps that make a native build in an empty folder: virtual environment and wheel, npm packages, compilation.
// What they make can be moved as a whole: the binding finds TensorFlow relative to itself.
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ShallowDeepError } from '../../src/errors.js'
import { QUIET_ADDON } from '../../src/engines/tfjs/native.node.js'
import type { BuildRecord } from '../../src/engines/tfjs/native.node.js'
import { findPython } from './python.js'
import type { Python } from './python.js'
import { run, tellingLine } from './processes.js'
import type { Finished } from './processes.js'
import {
  GOOGLE_PROTOBUF_VERSION,
  NAPI_VERSION,
  NODE_API_HEADERS_VERSION,
  RECIPE,
  TENSORFLOW_VERSION,
  tfjsVersion,
  wheelOf,
} from './versions.js'
import type { BuildKind } from './versions.js'

export interface BuildOptions {
  readonly kind: BuildKind
  /** An empty folder; everything is written below it. */
  readonly folder: string
  /** Told before each step, one short line. */
  readonly log: (line: string) => void
}

/** The tools of the machine that a build uses, each started once to see that it runs. */
export interface Tools {
  readonly python: Python
  readonly npm: readonly string[]
  readonly compiler: string
  readonly compilerVersion: string
}

/**
 * Finds all tools, through the variables of `environment` (PATH, PYTHON, CXX), before anything is downloaded. Throws
 * `native.no-python`, `native.no-venv`, `native.no-npm`, `native.no-tar` or `native.no-compiler`.
 */
export async function findTools(environment: NodeJS.ProcessEnv = process.env): Promise<Tools> {
  const { npm_execpath: npmFile, CXX: cxx } = environment
  const npm =
    npmFile !== undefined && basename(npmFile) === 'npm-cli.js' ? [process.execPath, npmFile] : ['npm']
  for (const [name, command, hint] of [
    ['npm', npm, 'npm comes with Node; put it on the PATH'],
    ['tar', ['tar'], 'install tar and put it on the PATH'],
  ] as const) {
    const [program, ...args] = command
    const { code } = await run(program, [...args, '--version'], { env: environment })
    if (code === 0) continue
    throw new ShallowDeepError({
      code: `native.no-${name}`,
      message: `${name} is missing or fails`,
      hint,
      kind: 'failure',
    })
  }
  const compilers = cxx === undefined || cxx === '' ? ['g++', 'c++', 'clang++'] : [cxx]
  for (const compiler of compilers) {
    const asked = await run(compiler, ['--version'], { env: environment })
    if (asked.code !== 0) continue
    return {
      python: await findPython(environment),
      npm,
      compiler,
      compilerVersion: asked.stdout.split('\n')[0],
    }
  }
  throw new ShallowDeepError({
    code: 'native.no-compiler',
    message: `no C++ compiler: tried ${compilers.join(', ')}`,
    hint: 'on Debian and Ubuntu: apt-get install g++; or name one: CXX=/path/to/g++',
    kind: 'failure',
  })
}

/** Makes the build and returns its record, which the caller writes once the build has been checked. */
export async function build(options: BuildOptions, tools: Tools): Promise<BuildRecord> {
  const wheel = wheelOf(options.kind, process.arch)
  const tfjs = tfjsVersion()
  const tensorflow = await installWheel(options, tools.python, `${wheel}==${TENSORFLOW_VERSION}`)
  await fetchPackages(options, tools.npm, tfjs)
  options.log(`compiling the binding with ${tools.compiler}`)
  await compile(options, tools.compiler, tensorflow)
  return {
    kind: options.kind,
    recipe: RECIPE,
    tfjs,
    tensorflow: TENSORFLOW_VERSION,
    wheel,
    python: tools.python.version,
    compiler: tools.compilerVersion,
    nodeApiHeaders: NODE_API_HEADERS_VERSION,
  }
}

/** Makes `venv/`, installs the wheel and returns the folder of the `tensorflow` package in it. */
async function installWheel(options: BuildOptions, python: Python, wheel: string): Promise<string> {
  const venv = join(options.folder, 'venv')
  const program = join(venv, 'bin', 'python')
  // Packages that the user's own Python sees must not count as installed here.
  const env: NodeJS.ProcessEnv = { ...process.env, PYTHONNOUSERSITE: '1', PIP_DISABLE_PIP_VERSION_CHECK: '1' }
  delete env.PYTHONPATH
  delete env.PYTHONHOME
  delete env.PIP_TARGET
  delete env.PIP_USER
  options.log(`making a virtual environment with Python ${python.version}`)
  succeed(await run(python.program, ['-m', 'venv', venv], { env }), 'native.venv', 'python -m venv failed')
  options.log(`installing ${wheel} (some hundred megabytes, may take minutes)`)
  // The library and the headers are all we use: the wheel's Python dependencies are needed by the CUDA build only.
  const dependencies = options.kind === 'node' ? ['--no-deps'] : []
  const args = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--only-binary=:all:',
    '--no-compile',
    ...dependencies,
    wheel,
  ]
  succeed(await run(program, args, { env }), 'native.wheel', `pip could not install ${wheel}`)
  const lib = join(venv, 'lib')
  const packages = readdirSync(lib).map((name) => join(lib, name, 'site-packages', 'tensorflow'))
  const found = packages.find((folder) => existsSync(join(folder, 'libtensorflow_cc.so.2')))
  if (found !== undefined) return found
  throw new ShallowDeepError({
    code: 'native.wheel',
    message: `${wheel} came without libtensorflow_cc.so.2`,
    hint: 'the native set-up supports the wheels for Linux with glibc',
    kind: 'failure',
  })
}

/**
 * Unpacks tfjs-node, its one needed dependency and Node's headers into `node_modules/`. Unpacked, not installed: an
 * installation would bring tfjs-node's own copy of tfjs, and its kernels would then register with that copy.
 */
async function fetchPackages(options: BuildOptions, npm: readonly string[], tfjs: string): Promise<void> {
  const packages = [
    { name: '@tensorflow/tfjs-node', version: tfjs },
    { name: 'google-protobuf', version: GOOGLE_PROTOBUF_VERSION },
    { name: 'node-api-headers', version: NODE_API_HEADERS_VERSION },
  ]
  const packed = join(options.folder, 'packed')
  mkdirSync(packed)
  options.log(`fetching ${packages.map(({ name, version }) => `${name} ${version}`).join(', ')}`)
  const specs = packages.map(({ name, version }) => `${name}@${version}`)
  const [program, ...first] = npm
  const args = [...first, 'pack', '--ignore-scripts', '--silent', '--pack-destination', packed, ...specs]
  succeed(await run(program, args, { cwd: packed }), 'native.packages', 'npm could not fetch the packages')
  for (const { name, version } of packages) {
    const target = join(options.folder, 'node_modules', name)
    mkdirSync(target, { recursive: true })
    const file = join(packed, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`)
    const unpack = ['-xzf', file, '-C', target, '--strip-components=1']
    succeed(await run('tar', unpack), 'native.packages', `tar could not unpack ${name}`)
  }
  rmSync(packed, { recursive: true })
}

/** Compiles the binding, linked to TensorFlow by a path relative to itself, and the addon that keeps its loading quiet. */
async function compile(options: BuildOptions, compiler: string, tensorflow: string): Promise<void> {
  const source = join(options.folder, 'node_modules', '@tensorflow', 'tfjs-node')
  const headers = join(options.folder, 'node_modules', 'node-api-headers', 'include')
  const output = join(source, 'lib', `napi-v${NAPI_VERSION}`)
  mkdirSync(output, { recursive: true })
  const common = [
    '-std=c++17',
    '-O2',
    '-fPIC',
    '-shared',
    '-w',
    `-DNAPI_VERSION=${NAPI_VERSION}`,
    `-I${headers}`,
  ]
  const binding = [
    ...[source, dirname(source), join(tensorflow, 'include')].map((folder) => `-I${folder}`),
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(source, 'binding', file)),
    ...['-o', join(output, 'tfjs_binding.node')],
    ...[`-L${tensorflow}`, '-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'],
    `-Wl,-rpath,$ORIGIN/${relative(output, tensorflow)}`,
  ]
  const quiet = [
    fileURLToPath(new URL('./quiet.cc', import.meta.url)),
    '-o',
    join(options.folder, QUIET_ADDON),
  ]
  for (const args of [binding, quiet]) {
    const finished = await run(compiler, [...common, ...args])
    if (finished.code !== 0) writeFileSync(join(dirname(options.folder), 'setup.log'), finished.stderr)
    succeed(
      finished,
      'native.compile',
      `${compiler} could not compile the binding (all of it in .native/setup.log)`,
    )
  }
}

function succeed(finished: Finished, code: string, message: string): void {
  if (finished.code === 0) return
  const line = tellingLine(finished)
  const isFull = /no space left|ENOSPC/i.test(line)
  throw new ShallowDeepError({
    code: isFull ? 'native.disk-full' : code,
    message: `${message}: ${line.slice(0, 400)}`,
    hint: isFull ? 'make room and run it again' : 'run it again; what was downloaded is cached',
    kind: 'failure',
  })
}
