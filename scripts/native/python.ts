// Finds a Python that the TensorFlow wheel supports and that can make a virtual environment. A name on the PATH proves
// nothing (version managers leave shims that fail), so every candidate is started and asked.
import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { ShallowDeepError } from '../../src/errors.js'
import { run } from './processes.js'
import { BUILDS, PYTHON_VERSIONS, TENSORFLOW_VERSION } from './versions.js'

/** A Python that was started and will do. */
export interface Python {
  readonly program: string
  readonly version: string
}

interface Answer {
  readonly version: string
  readonly implementation: string
  readonly bits: number
  readonly hasVenv: boolean
}

const QUESTION = [
  'import importlib.util as u, json, platform, struct',
  'has = all(u.find_spec(m) is not None for m in ("venv", "ensurepip"))',
  'print(json.dumps({"version": platform.python_version(), "implementation": platform.python_implementation(),',
  ' "bits": struct.calcsize("P") * 8, "hasVenv": has}))',
].join('\n')

/**
 * The first Python that will do: the program named by PYTHON, then the PATH's, then pyenv's. Throws `native.no-python`
 * when none is found, with what each candidate lacked, and `native.no-venv` when one only lacks its venv module.
 */
export async function findPython(environment: NodeJS.ProcessEnv = process.env): Promise<Python> {
  const rejected: string[] = []
  let withoutVenv: string | null = null
  for (const program of candidates(environment)) {
    const answer = await ask(program, environment)
    if (answer === null) continue
    const problem = problemOf(answer)
    if (problem !== null) rejected.push(`${program} ${problem}`)
    else if (!answer.hasVenv) withoutVenv ??= `${program} (Python ${answer.version})`
    else return { program, version: answer.version }
  }
  if (withoutVenv !== null) {
    throw new ShallowDeepError({
      code: 'native.no-venv',
      message: `${withoutVenv} has no venv module, which the native set-up needs`,
      hint: 'on Debian and Ubuntu: apt-get install python3-venv',
      kind: 'failure',
    })
  }
  const found = rejected.length === 0 ? 'no Python was found' : `found only ${rejected.join(', ')}`
  throw new ShallowDeepError({
    code: 'native.no-python',
    message: `the TensorFlow ${TENSORFLOW_VERSION} wheel needs Python ${PYTHON_VERSIONS.toSorted().join(', ')}; ${found}`,
    hint: `install one, or name it: PYTHON=/path/to/python3 npm run ${BUILDS.node.script}`,
    kind: 'failure',
  })
}

function candidates(environment: NodeJS.ProcessEnv): string[] {
  const named = environment.PYTHON
  if (named !== undefined && named !== '') return [named]
  const onPath = ['python3', ...PYTHON_VERSIONS.map((version) => `python${version}`), 'python']
  const versions = join(environment.PYENV_ROOT ?? join(environment.HOME ?? homedir(), '.pyenv'), 'versions')
  const managed = existsSync(versions) ? readdirSync(versions).toSorted().toReversed() : []
  const pyenv = managed
    .filter((name) => PYTHON_VERSIONS.some((version) => name.startsWith(`${version}.`)))
    .map((name) => join(versions, name, 'bin', 'python3'))
  return [...onPath, ...pyenv]
}

async function ask(program: string, environment: NodeJS.ProcessEnv): Promise<Answer | null> {
  const { code, stdout } = await run(program, ['-I', '-c', QUESTION], { env: environment })
  if (code !== 0) return null
  try {
    return JSON.parse(stdout) as Answer
  } catch {
    return null
  }
}

function problemOf(answer: Answer): string | null {
  if (!PYTHON_VERSIONS.some((version) => answer.version.startsWith(`${version}.`)))
    return `is ${answer.version}`
  if (answer.implementation !== 'CPython') return `is ${answer.implementation}`
  return answer.bits === 64 ? null : `has ${answer.bits} bits`
}
