// The Python that the reference implementation runs in: a virtual environment of its own in the user's cache folder, made at
// the first use. PARITY_PYTHON names one that is there already.
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { ShallowDeepError } from '../../src/errors.js'
import { run, tellingLine } from '../native/processes.js'
import { findPython } from '../native/python.js'

/** What is installed; exact, so that figures can be repeated. */
const PACKAGES = ['torch==2.15.0', 'transformers==5.23.0', 'safetensors==0.8.0', 'numpy']

/** The Python program of the environment, which is made where it is not there. Throws `parity.no-environment`. */
export async function referencePython(log: (line: string) => void): Promise<string> {
  const named = process.env.PARITY_PYTHON
  if (named !== undefined && named !== '') return named
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
  const folder = join(cache, 'shallowdeep', 'parity')
  const program = join(folder, 'bin', 'python')
  const isWhole = existsSync(program) && (await run(program, ['-c', 'import torch, transformers'])).code === 0
  if (isWhole) return program
  log(`making ${folder} with ${PACKAGES.join(', ')} (several GB, once)`)
  await mkdir(folder, { recursive: true })
  const steps: [string, string[]][] = [
    [(await findPython()).program, ['-m', 'venv', '--clear', folder]],
    [program, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES]],
  ]
  for (const [command, words] of steps) {
    const finished = await run(command, words)
    if (finished.code === 0) continue
    throw new ShallowDeepError({
      code: 'parity.no-environment',
      message: `${command} ${words.slice(0, 3).join(' ')} failed: ${tellingLine(finished)}`,
      hint: 'name a Python that has torch and transformers: PARITY_PYTHON=/path/to/python',
      kind: 'failure',
    })
  }
  return program
}
