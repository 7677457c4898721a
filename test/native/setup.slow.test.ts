// The native set-up as a user runs it, into a folder of its own under .native/: built for real from the registries,
// run again, moved, killed, interrupted, removed. Takes about two minutes and 3 GB of disk.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { findNativeBuilds, nativeFolder, packageRoot, readBuild } from '../../src/engines/tfjs/native.node.js'

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly ms: number
}

interface SetupOptions {
  readonly signal?: NodeJS.Signals
  /** Sends the signal as soon as standard error shows this. */
  readonly at?: string
  readonly environment?: NodeJS.ProcessEnv
}

describe('native set-up', function () {
  this.timeout(600_000)
  let folder: string
  before(() => {
    mkdirSync(nativeFolder(), { recursive: true })
    folder = mkdtempSync(join(nativeFolder(), 'test-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  /** Runs the script (without tsx's own process around it, so that the signal reaches it) and waits for its end. */
  function setup(args: readonly string[], options: SetupOptions = {}): Promise<Ended> {
    const start = Date.now()
    const script = join(packageRoot(), 'scripts', 'native', 'setup.ts')
    const child = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
      cwd: packageRoot(),
      env: { ...process.env, ...options.environment },
    })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()))
    child.stderr.on('data', (data: Buffer) => {
      stderr += data.toString()
      if (options.at !== undefined && stderr.includes(options.at)) child.kill(options.signal)
    })
    return new Promise((resolve) => {
      child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr, ms: Date.now() - start }))
    })
  }

  it('leaves nothing that would be loaded when it is killed at any step, and sweeps up afterwards', async () => {
    const into = join(folder, 'killed')
    // Compilation may be over before a busy machine has let this process see that it began.
    const slowCompiler = join(folder, 'slow-compiler')
    writeFileSync(slowCompiler, '#!/bin/sh\n[ "$1" = --version ] && exec echo slow 1.0\nexec sleep 20\n', {
      mode: 0o755,
    })
    const environment = { CXX: slowCompiler }
    for (const at of ['virtual environment', 'installing tensorflow', 'compiling']) {
      const { signal } = await setup(['--folder', into], { at, signal: 'SIGKILL', environment })
      assert.equal(signal, 'SIGKILL')
      assert.ok(readdirSync(into).every((name) => /^partial-\d+$/.test(name)))
      assert.deepEqual(
        findNativeBuilds(into).filter(({ record }) => record !== null),
        [],
      )
    }
    // What the killed run had started ends by itself, and may write until then.
    await setTimeout(5_000)
    const { code, stderr } = await setup(['--folder', into], {
      environment: { PYTHON: join(folder, 'nothing') },
    })
    assert.equal(code, 1)
    assert.match(stderr, /^setup:native: the TensorFlow .* wheel needs Python .*\n$/)
    assert.deepEqual(readdirSync(into), [])
  })

  it('ends with 130 and cleans up when it is interrupted at any step', async () => {
    const into = join(folder, 'interrupted')
    for (const at of ['virtual environment', 'installing tensorflow', 'fetching']) {
      const { code, stdout, stderr } = await setup(['--folder', into], { at, signal: 'SIGINT' })
      assert.equal(code, 130)
      assert.equal(stdout, '')
      assert.match(stderr, /interrupted; nothing was changed\n$/)
      assert.deepEqual(readdirSync(into), [])
    }
  })

  it('builds, is content the second time, mends what is broken, survives being moved, and is removed', async () => {
    const into = join(folder, 'whole')
    const first = await setup(['--folder', into])
    assert.equal(first.code, 0, first.stderr)
    assert.match(
      first.stdout,
      /^setup:native: native backend \(CPU\) built in \d+ s and checked: .*TensorFlow 2\.\d+\.\d+\n$/,
    )
    assert.deepEqual(readdirSync(into), ['cpu'])
    assert.equal(existsSync(join(into, 'cpu', 'node_modules', '@tensorflow', 'tfjs')), false)

    const second = await setup(['--folder', into])
    assert.equal(second.code, 0)
    assert.match(second.stdout, /^setup:native: native backend \(CPU\) is already there and works: [^\n]*\n$/)
    assert.equal(second.stderr, '')
    assert.ok(second.ms < 10_000, `${second.ms} ms`)

    const moved = join(folder, 'moved')
    renameSync(into, moved)
    assert.match((await setup(['--folder', moved])).stdout, /already there and works/)

    const noGpu = await setup(['--gpu', '--folder', moved], { environment: { PATH: withoutGpu() } })
    assert.equal(noGpu.code, 0)
    assert.match(noGpu.stdout, /no GPU is present .* the CPU build is left in place\n$/)
    assert.notEqual(readBuild(join(moved, 'cpu')), null)

    // A failing repair leaves the broken build where it was, and says what fails.
    rmSync(join(moved, 'cpu', 'node_modules', 'google-protobuf'), { recursive: true })
    const broken = await setup(['--folder', moved], { environment: { CXX: join(folder, 'nothing') } })
    assert.equal(broken.code, 1)
    assert.match(broken.stderr, /the build there fails, building anew: .*google-protobuf/)
    assert.match(broken.stderr, /no C\+\+ compiler/)
    const mended = await setup(['--folder', moved])
    assert.match(mended.stdout, /built in \d+ s and checked/)
    assert.deepEqual(readdirSync(moved), ['cpu'])

    const removed = await setup(['--remove', '--folder', moved])
    assert.deepEqual([removed.code, existsSync(moved)], [0, false])
    assert.match((await setup(['--remove', '--folder', moved])).stdout, /nothing to remove/)
  })

  it('refuses an unknown flag with exit code 2', async () => {
    const { code, stderr } = await setup(['--gpus'])
    assert.equal(code, 2)
    assert.match(stderr, /--gpus.*usage: .*--gpu/)
  })

  /** The PATH with a failing nvidia-smi in front, as on a machine whose driver is gone. */
  function withoutGpu(): string {
    const bin = join(folder, 'bin')
    mkdirSync(bin, { recursive: true })
    writeFileSync(join(bin, 'nvidia-smi'), '#!/bin/sh\necho "no driver" >&2\nexit 9\n', { mode: 0o755 })
    return [bin, process.env.PATH].join(delimiter)
  }
})
