// The tools that the native set-up needs: which Python it takes, and the message for each tool that is missing.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { findTools } from '../../scripts/native/build.js'
import { findPython } from '../../scripts/native/python.js'
import { PYTHON_VERSIONS } from '../../scripts/native/versions.js'
import type { ShallowDeepError } from '../../src/errors.js'

describe('tools of the native set-up', () => {
  let home: string
  let bin: string
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'shallowdeep-tools-'))
    bin = join(home, 'bin')
    mkdirSync(bin)
  })
  afterEach(() => rmSync(home, { recursive: true }))

  const environment = (more: NodeJS.ProcessEnv = {}) => ({ PATH: bin, HOME: home, ...more })

  /** Puts a program on the PATH that prints `text` and ends with `code`. */
  function put(name: string, text: string, code = 0, folder = bin): string {
    const file = join(folder, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, `#!/bin/sh\nprintf '%s\\n' '${text}'\nexit ${code}\n`)
    chmodSync(file, 0o755)
    return file
  }

  function python(version: string, more: object = {}): string {
    return JSON.stringify({ version, implementation: 'CPython', bits: 64, hasVenv: true, ...more })
  }

  async function failure(promise: Promise<unknown>): Promise<ShallowDeepError> {
    const error = await promise.then(
      () => assert.fail('expected a failure'),
      (reason: ShallowDeepError) => reason,
    )
    assert.equal(error.kind, 'failure')
    assert.doesNotMatch(error.message, /\n/)
    assert.ok(error.hint !== undefined && error.hint !== '')
    return error
  }

  it('takes the first Python that the wheel supports, past shims that fail and versions that do not fit', async () => {
    put('python3', python('3.14.2'))
    put('python3.12', 'shim: command not found', 127)
    put('python3.11', python('3.11.9', { implementation: 'PyPy' }))
    put('python3.13', python('3.13.1', { bits: 32 }))
    put('python3.10', python('3.10.4'))
    assert.deepEqual(await findPython(environment()), { program: 'python3.10', version: '3.10.4' })
  })

  it('finds one that only pyenv keeps', async () => {
    put('python3', python('3.9.1'))
    put('bin/python3', python('3.8.0'), 0, join(home, '.pyenv', 'versions', '3.8.0'))
    const kept = put('bin/python3', python('3.12.3'), 0, join(home, '.pyenv', 'versions', '3.12.3'))
    assert.deepEqual(await findPython(environment()), { program: kept, version: '3.12.3' })
  })

  it('takes the one that PYTHON names, and no other', async () => {
    put('python3', python('3.12.1'))
    const named = put('mine', python('3.9.0'))
    const error = await failure(findPython(environment({ PYTHON: named })))
    assert.equal(error.code, 'native.no-python')
    assert.match(error.message, /mine is 3\.9\.0$/)
  })

  it('says which versions it wants and what it found', async () => {
    const none = await failure(findPython(environment()))
    assert.equal(none.code, 'native.no-python')
    for (const version of PYTHON_VERSIONS) assert.ok(none.message.includes(version))
    put('python3', python('3.14.0'))
    assert.match((await failure(findPython(environment()))).message, /found only python3 is 3\.14\.0/)
  })

  it('tells a missing venv module from a missing Python', async () => {
    put('python3', python('3.11.2', { hasVenv: false }))
    const error = await failure(findPython(environment()))
    assert.equal(error.code, 'native.no-venv')
    assert.match(error.hint ?? '', /python3-venv/)
    put('python3.12', python('3.12.0'))
    assert.equal((await findPython(environment())).version, '3.12.0')
  })

  it('names the tool that is missing: npm, tar, compiler, Python', async () => {
    assert.equal((await failure(findTools(environment()))).code, 'native.no-npm')
    put('npm', '11.0.0')
    assert.equal((await failure(findTools(environment()))).code, 'native.no-tar')
    put('tar', 'tar 1.34')
    const noCompiler = await failure(findTools(environment()))
    assert.equal(noCompiler.code, 'native.no-compiler')
    assert.match(noCompiler.message, /g\+\+, c\+\+, clang\+\+/)
    put('clang++', 'clang version 18')
    assert.equal((await failure(findTools(environment()))).code, 'native.no-python')
    put('python3', python('3.12.7'))
    assert.deepEqual(await findTools(environment()), {
      python: { program: 'python3', version: '3.12.7' },
      npm: ['npm'],
      compiler: 'clang++',
      compilerVersion: 'clang version 18',
    })
  })

  it('uses the npm that started it and the compiler that CXX names', async () => {
    put('tar', 'tar 1.34')
    put('g++', 'g++ 12')
    put('python3', python('3.12.7'))
    const npmFile = join(home, 'npm-cli.js')
    writeFileSync(npmFile, 'console.log("11.0.0")\n')
    const mine = put('my-cxx', 'my compiler 1')
    const more = { npm_execpath: npmFile, CXX: mine }
    const tools = await findTools(environment(more))
    assert.deepEqual(tools.npm, [process.execPath, npmFile])
    assert.equal(tools.compilerVersion, 'my compiler 1')
    const error = await failure(findTools(environment({ ...more, CXX: join(bin, 'nothing') })))
    assert.equal(error.code, 'native.no-compiler')
  })
})
