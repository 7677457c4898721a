// What peers run in: a virtual environment of Python for each requirements file, and transformers.js's own node_modules.
// Each is made at its first use, and again when what it should hold changes.
import { readFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findPython } from '../../scripts/native/python.js'
import { run, tellingLine } from '../../scripts/native/processes.js'
import { ShallowDeepError } from '../../src/errors.js'
import { peersFolder } from './cache.js'

/** Names of the Python environments: python/<name>.txt says what is in them. */
export type PythonName = 'ctranslate2' | 'pytorch' | 'onnx'

type Log = (line: string) => void
type Step = readonly [program: string, words: readonly string[], folder?: string]

const HERE = fileURLToPath(new URL('.', import.meta.url))
/** Folder of transformers.js's package.json and its worker. */
export const TRANSFORMERS_JS_FOLDER = join(HERE, 'transformersJs')

/** Path of a Python program of this folder. */
export function pythonScript(name: string): string {
  return join(HERE, 'python', name)
}

/** The Python of an environment. Throws `peers.no-environment`, and what finding a Python throws. */
export async function pythonEnvironment(name: PythonName, log: Log): Promise<string> {
  const folder = join(peersFolder(), 'environments', name)
  const program = join(folder, 'bin', 'python')
  const requirements = pythonScript(`${name}.txt`)
  const size = name === 'ctranslate2' ? '250 MB' : 'several GB'
  await ensure({
    contents: readFileSync(requirements, 'utf8'),
    marker: join(folder, 'complete.txt'),
    announce: () => log(`making the environment ${folder} (${size}, once)`),
    async make() {
      await rm(folder, { recursive: true, force: true })
      await mkdir(folder, { recursive: true })
      const { program: python } = await findPython()
      const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements]
      await runSteps([
        [python, ['-m', 'venv', folder]],
        [program, install],
      ])
    },
  })
  return program
}

/** Installs transformers.js from its lock file. Throws `peers.no-environment`. */
export async function transformersJsEnvironment(log: Log): Promise<void> {
  const folder = TRANSFORMERS_JS_FOLDER
  await ensure({
    contents: readFileSync(join(folder, 'package-lock.json'), 'utf8'),
    marker: join(folder, 'node_modules', '.complete.json'),
    announce: () => log(`installing transformers.js in ${folder} (480 MB, once)`),
    make: () => runSteps([['npm', ['ci', '--loglevel=error'], folder]]),
  })
}

/** Runs a Python program that makes `output` of `model`. Throws `peers.not-converted`. */
export async function convertModel(
  python: string,
  { script, model, output }: { readonly script: string; readonly model: string; readonly output: string },
): Promise<void> {
  const finished = await run(python, [pythonScript(script), model, output], {
    env: { ...process.env, HF_HUB_OFFLINE: '1', CUDA_VISIBLE_DEVICES: '' },
  })
  if (finished.code === 0) return
  throw new ShallowDeepError({
    code: 'peers.not-converted',
    message: `${script} could not convert ${model}: ${tellingLine(finished)}`,
    details: { stderr: finished.stderr },
    kind: 'failure',
  })
}

/** Makes something unless its marker holds `contents`. The marker is written last: what was broken off is made anew. */
async function ensure(options: {
  readonly contents: string
  readonly marker: string
  readonly announce: () => void
  readonly make: () => Promise<void>
}): Promise<void> {
  const { contents, marker, announce, make } = options
  if (readIfThere(marker) === contents) return
  announce()
  await make()
  await writeFile(marker, contents)
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

async function runSteps(steps: readonly Step[]): Promise<void> {
  for (const [program, words, cwd] of steps) {
    const finished = await run(program, words, { cwd })
    if (finished.code === 0) continue
    throw new ShallowDeepError({
      code: 'peers.no-environment',
      message: `${program} ${words.slice(0, 3).join(' ')} failed: ${tellingLine(finished)}`,
      hint: 'the package registries must be within reach; or leave the peer out with --peers',
      details: { stderr: finished.stderr },
      kind: 'failure',
    })
  }
}
