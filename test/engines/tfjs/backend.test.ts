// Which backend is chosen, and that nothing slower is ever taken in silence. Each choice runs in a child process.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build as bundle } from 'esbuild'
import * as tf from '@tensorflow/tfjs'
import type { BackendReport, NodeBackendOptions } from '../../../src/engines/tfjs/backend.node.js'
import type { ChosenBackend } from '../../../src/engines/tfjs/backend.js'
import { activate, chooseBackend as chooseInBrowser } from '../../../src/engines/tfjs/backend.js'
import { findNativeBuilds, nativeFolder, packageRoot } from '../../../src/engines/tfjs/native.node.js'

interface Outcome {
  readonly chosen: ChosenBackend
  readonly report?: BackendReport
  readonly product: number[]
  readonly tfjsName: string | null
  readonly numTensors: number
  readonly listenersAdded: number
  readonly error?: { code: string; message: string; hint?: string; details: Record<string, unknown> }
}

const product = [7, 10, 1, 15, 22, 1]
const hasNativeBuild = findNativeBuilds().some(
  (build) => build.kind === 'node' && build.bindingFile !== null && build.location.startsWith('.native'),
)

/** Asks for each of `calls` in one fresh process, which must print nothing but the outcomes. */
async function choose(
  calls: readonly (NodeBackendOptions & { describe?: boolean; wasmPath?: string })[],
  environment: NodeJS.ProcessEnv = {},
): Promise<Outcome[]> {
  const script = fileURLToPath(new URL('./chooseInChild.ts', import.meta.url))
  const args = ['--import', 'tsx', script, JSON.stringify(calls)]
  const env = { ...process.env, ...environment }
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { env, cwd: packageRoot() })
  assert.equal(stderr, '')
  assert.equal(stdout.trim().split('\n').length, 1)
  return JSON.parse(stdout) as Outcome[]
}

describe('choice of the backend under Node', () => {
  let outcomes: Record<keyof ReturnType<typeof callsWithoutNative>, Outcome>
  const folders: string[] = []
  const makeFolder = () => {
    const folder = mkdtempSync(join(tmpdir(), 'shallowdeep-backend-'))
    folders.push(folder)
    return folder
  }
  before(async () => {
    const calls = callsWithoutNative()
    const results = await choose(Object.values(calls))
    outcomes = Object.fromEntries(Object.keys(calls).map((key, i) => [key, results[i]])) as typeof outcomes
  })
  after(() => folders.forEach((folder) => rmSync(folder, { recursive: true })))

  /** A folder with a build in it that looks finished; its binding is a text file. */
  function fakeBuild(
    options: { kind?: string; tfjs?: string; record?: string; binding?: boolean; ownTfjs?: boolean } = {},
  ): string {
    const folder = makeFolder()
    symlinkSync(join(packageRoot(), 'node_modules'), join(folder, 'node_modules'))
    const modules = join(folder, 'cpu', 'node_modules', '@tensorflow')
    const lib = join(modules, 'tfjs-node', 'lib', 'napi-v8')
    mkdirSync(lib, { recursive: true })
    if (options.binding ?? true) writeFileSync(join(lib, 'tfjs_binding.node'), 'not a library')
    if (options.ownTfjs === true) {
      mkdirSync(join(modules, 'tfjs'))
      writeFileSync(join(modules, 'tfjs', 'index.js'), '')
    }
    const record = {
      kind: options.kind ?? 'node',
      tfjs: options.tfjs ?? tf.version.tfjs,
      tensorflow: '2.0.0',
      wheel: 'none',
    }
    writeFileSync(join(folder, 'cpu', 'build.json'), options.record ?? JSON.stringify(record))
    return folder
  }

  /** One process for all of them: those that fail come first, while it has no backend yet. */
  function callsWithoutNative() {
    const empty = makeFolder()
    return {
      nodeUnloadable: { backend: 'node', nativeFolder: fakeBuild() },
      node: { backend: 'node', nativeFolder: empty },
      gpu: { backend: 'node-gpu', nativeFolder: empty },
      webgl: { backend: 'webgl' },
      webgpu: { backend: 'webgpu' },
      wasmTwo: { backend: 'wasm', threads: 2 },
      cpuTwo: { backend: 'cpu', threads: 2 },
      defaultTwo: { threads: 2, nativeFolder: empty },
      zero: { threads: 0 },
      half: { threads: 1.5 },
      misspelt: { backend: 'wsm' as 'wasm' },
      withoutBuild: { nativeFolder: empty },
      withUnloadable: { nativeFolder: fakeBuild() },
      otherVersion: { nativeFolder: fakeBuild({ tfjs: '4.21.0' }) },
      ownCopy: { nativeFolder: fakeBuild({ ownTfjs: true }) },
      noBinding: { nativeFolder: fakeBuild({ binding: false }) },
      decodingUnloadable: { purpose: 'decoding', nativeFolder: fakeBuild() },
      decodingGpuUnloadable: { purpose: 'decoding', nativeFolder: fakeBuild({ kind: 'node-gpu' }) },
      wasmOne: { backend: 'wasm', threads: 1 },
      cpu: { backend: 'cpu' },
      described: { describe: true, nativeFolder: fakeBuild({ binding: false }) },
    } satisfies Record<string, NodeBackendOptions & { describe?: boolean }>
  }

  it('takes wasm with SIMD, not cpu, when there is no native build, and says how to get one', () => {
    const { chosen, tfjsName, ...outcome } = outcomes.withoutBuild
    assert.equal(chosen.name, 'wasm')
    assert.equal(tfjsName, 'wasm')
    assert.match(chosen.reason, /no native build .*setup:native/)
    assert.match(chosen.versions.wasm, /\(SIMD\)/)
    assert.equal(chosen.threads, availableParallelism())
    assert.deepEqual(outcome.product, product)
    assert.equal(outcome.numTensors, 0)
    assert.equal(outcome.listenersAdded, 0)
  })

  it('falls to wasm by default when a native build does not load, and says which and why', () => {
    const { chosen, tfjsName } = outcomes.withUnloadable
    assert.equal(tfjsName, 'wasm')
    assert.match(chosen.reason, /passed over: the native build in .*cpu can't be used: .*tfjs_binding\.node/)
  })

  it('to decode takes wasm without a look at a build for the processor, and says why one for a GPU is passed over', () => {
    const { decodingUnloadable, decodingGpuUnloadable } = outcomes
    assert.deepEqual([decodingUnloadable.tfjsName, decodingGpuUnloadable.tfjsName], ['wasm', 'wasm'])
    assert.equal(decodingUnloadable.chosen.reason, 'decodes fastest on a processor')
    assert.equal(decodingUnloadable.chosen.threads, availableParallelism())
    assert.match(decodingGpuUnloadable.chosen.reason, /^decodes fastest.*; passed over: .*tfjs_binding\.node/)
  })

  it('never replaces a backend asked for by name', () => {
    const { nodeUnloadable, node, gpu, webgl, webgpu } = outcomes
    for (const [backend, { error, tfjsName }] of [
      ['node', nodeUnloadable],
      ['node', node],
      ['node-gpu', gpu],
      ['webgl', webgl],
      ['webgpu', webgpu],
    ] as const) {
      assert.equal(error?.code, 'engine.backend-unavailable')
      assert.equal(error.details.backend, backend)
      assert.ok(error.hint !== undefined && error.message.startsWith(`backend ${backend} is not available: `))
      assert.doesNotMatch(error.message, /\n/)
      assert.equal(tfjsName, null)
    }
    assert.match(nodeUnloadable.error?.message ?? '', /tfjs_binding\.node/)
    assert.match(node.error?.hint ?? '', /npm run setup:native/)
    assert.match(gpu.error?.hint ?? '', /npm run setup:native:gpu/)
  })

  it('passes over a build for another tfjs, with a tfjs of its own, or without its binding', () => {
    const { otherVersion, ownCopy, noBinding } = outcomes
    assert.match(otherVersion.chosen.reason, /made for tfjs 4\.21\.0, this is tfjs 4\./)
    assert.match(ownCopy.chosen.reason, /has a copy of @tensorflow\/tfjs of its own/)
    assert.match(noBinding.chosen.reason, /compiled binding .* is not/)
    for (const { tfjsName } of [otherVersion, ownCopy, noBinding]) assert.equal(tfjsName, 'wasm')
  })

  it('sees no build in a folder whose record is missing or cut short', () => {
    const unfinished = fakeBuild()
    rmSync(join(unfinished, 'cpu', 'build.json'))
    for (const folder of [unfinished, fakeBuild({ record: '{"kind": "no' })]) {
      assert.deepEqual(
        findNativeBuilds(folder).filter((build) => build.record !== null),
        [],
      )
    }
  })

  it('takes cpu only when asked, without a word on the console', () => {
    const { chosen, tfjsName, ...outcome } = outcomes.cpu
    assert.deepEqual([chosen.name, tfjsName, chosen.threads], ['cpu', 'cpu', 1])
    assert.deepEqual(outcome.product, product)
  })

  it('refuses threads that the backend cannot have', () => {
    const { cpuTwo, zero, half } = outcomes
    for (const { error } of [cpuTwo, zero, half]) assert.equal(error?.code, 'engine.threads-unsupported')
  })

  it('gives wasm as many threads as are asked for, another number each time if need be', () => {
    const { wasmOne, wasmTwo, defaultTwo } = outcomes
    assert.deepEqual(
      [wasmOne, wasmTwo, defaultTwo].map(({ chosen }) => [chosen.name, chosen.threads]),
      [
        ['wasm', 1],
        ['wasm', 2],
        ['wasm', 2],
      ],
    )
  })

  it('does not take wasm for started when its files are missing', async () => {
    const [{ error, tfjsName }, cpu] = await choose([{ wasmPath: '/nowhere/' }, { backend: 'cpu' }])
    assert.equal(error?.code, 'engine.backend-unavailable')
    assert.match(error.message, /^backend wasm is not available: .*nowhere/)
    assert.notEqual(tfjsName, 'cpu')
    assert.equal(cpu.tfjsName, 'cpu')
  })

  it('names the near miss of an unknown backend', () => {
    const { error } = outcomes.misspelt
    assert.equal(error?.code, 'engine.backend-unknown')
    assert.equal(error.hint, 'did you mean wasm?')
  })

  it('describes every backend and chooses as chooseBackend does', () => {
    const { report, chosen, tfjsName } = outcomes.described
    assert.ok(report !== undefined)
    assert.deepEqual(
      report.backends.map(({ name, isPresent }) => [name, isPresent]),
      [
        ['node-gpu', false],
        ['node', false],
        ['wasm', true],
        ['cpu', true],
      ],
    )
    assert.match(report.backends[0].detail, /setup:native:gpu/)
    assert.deepEqual([chosen.name, tfjsName], ['wasm', 'wasm'])
    assert.equal(report.versions.node, process.versions.node)
    assert.equal(report.versions.tfjs, tf.version.tfjs)
    assert.equal(report.threads.wasm, availableParallelism())
  })

  describe('with a native build in .native', () => {
    before(function () {
      if (hasNativeBuild) return
      console.error(`      skipped: no native build in ${nativeFolder()} (npm run setup:native makes one)`)
      this.skip()
    })

    it('takes it to train by default, prints nothing, computes what wasm computes, and tells where it lies', async () => {
      const [native, wasm, again, described, toDecode] = await choose([
        {},
        { backend: 'wasm' },
        { backend: 'node' },
        { describe: true },
        { purpose: 'decoding' },
      ])
      assert.deepEqual(native.product, product)
      assert.deepEqual(wasm.product, product)
      assert.deepEqual(again.product, product)
      assert.deepEqual([native.tfjsName, wasm.tfjsName, again.tfjsName], ['tensorflow', 'wasm', 'tensorflow'])
      assert.match(native.chosen.reason, /a native build is present: \.native\//)
      assert.match(native.chosen.versions.tensorflow, /^2\.\d+\.\d+/)
      assert.equal(again.numTensors, 0)
      assert.match(again.chosen.reason, /^asked for/)
      assert.deepEqual([toDecode.tfjsName, described.report?.decoding.name], ['wasm', 'wasm'])
      assert.equal(described.tfjsName, 'tensorflow')
      const entry = described.report?.backends.find(({ location }) => location === '.native/cpu')
      assert.equal(entry?.isPresent, true)
      assert.match(entry.detail, /tfjs-node \d.*tensorflow/)
    })

    it('fixes the number of threads for the process', async () => {
      const [one, two, unsaid] = await choose([{ threads: 1 }, { backend: 'node', threads: 2 }, {}])
      assert.equal(one.chosen.threads, 1)
      assert.equal(two.error?.code, 'engine.threads-fixed')
      assert.equal(unsaid.chosen.threads, 1)
      const [fromEnvironment] = await choose([{}], { TF_NUM_INTRAOP_THREADS: '3' })
      assert.equal(fromEnvironment.chosen.threads, 3)
    })
  })
})

describe('choice of the backend in a browser', () => {
  it('needs nothing of Node', async () => {
    const entryPoints = [fileURLToPath(new URL('../../../src/engines/tfjs/backend.ts', import.meta.url))]
    const result = await bundle({
      ...{ entryPoints, bundle: true, write: false, metafile: true, format: 'esm' as const },
      ...{ platform: 'browser' as const, external: ['@tensorflow/*'], logLevel: 'silent' as const },
    })
    const imports = Object.values(result.metafile.outputs).flatMap((output) =>
      output.imports.map(({ path }) => path),
    )
    assert.deepEqual(imports.toSorted(), ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm'])
  })

  it('refuses what runs under Node only and what nobody registered', async () => {
    for (const backend of ['node', 'node-gpu', 'webgpu'] as const) {
      await assert.rejects(chooseInBrowser({ backend }), { code: 'engine.backend-unavailable' })
    }
  })

  it('turns a failed start into an error with the reason, and keeps the backend that was current', async () => {
    const current = tf.engine().backendName
    await tf.setBackend('cpu')
    tf.registerBackend('broken-on-purpose', () => {
      throw new Error('no device')
    })
    const consoleWarn = console.warn
    const warned: unknown[] = []
    console.warn = (...words: unknown[]) => void warned.push(words)
    try {
      await assert.rejects(activate('broken-on-purpose', 'hint'), {
        code: 'engine.backend-unavailable',
        message: /^backend broken-on-purpose is not available: .*no device/,
      })
    } finally {
      console.warn = consoleWarn
      tf.removeBackend('broken-on-purpose')
    }
    assert.deepEqual(warned, [])
    assert.equal(tf.getBackend(), 'cpu')
    if (current !== undefined) await tf.setBackend(current)
  })
})
