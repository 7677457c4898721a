// Who takes part: for each, what computes, in which precision, and how its worker is started on a subject.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ENGINE_DTYPES, type EngineDtype } from '../../src/config/index.js'
import { ShallowDeepError, suggestNearest } from '../../src/errors.js'
import { peersFolder, makeOnce } from './cache.js'
import {
  convertModel,
  pythonEnvironment,
  pythonScript,
  TRANSFORMERS_JS_FOLDER,
  transformersJsEnvironment,
} from './environments.js'
import type { ExitPolicy, LoadRequest } from './protocol.js'
import type { Subject } from './subjects.js'
import type { Launch } from './worker.js'

/** Something that decodes. */
export interface Peer {
  /** `family-precision` or, of tfjs, `tfjs-backend`, in float32 where nothing else follows. */
  readonly name: string
  /** Whether outputs are to be the reference's, token for token. */
  readonly isFloat32: boolean
  /** Whether it can exit early. */
  readonly hasExits: boolean
  /** Makes what the worker needs, and says how to start it. Throws what environments and conversions throw. */
  prepare(subject: Pick<Subject, 'folder' | 'key'>, log: (line: string) => void): Promise<PreparedPeer>
}

/** How to start a worker, and what to load in it beside the number of threads. */
export interface PreparedPeer {
  readonly launch: Omit<Launch, 'name'>
  readonly load: Omit<LoadRequest, 'op' | 'threads'>
}

/** Ratios are to these. */
export const BASELINES = ['ctranslate2-float32', 'ctranslate2-int8', 'pytorch-float32'] as const

/** Whose tokens are the reference, the first that takes part. */
export const REFERENCES = ['pytorch-float32', 'ctranslate2-float32', 'onnx-float32'] as const

/** The policies of ours that are measured where a model is trained for exits. */
export const EXIT_POLICIES: readonly ExitPolicy[] = [
  { name: 'free', threshold: 0.3 },
  { name: 'lossless', threshold: 0.5 },
]

const PYTHON_ENVIRONMENT = { CUDA_VISIBLE_DEVICES: '', HF_HUB_OFFLINE: '1' }

function ctranslate2(dtype: string): Peer {
  return {
    ...peer(`ctranslate2-${dtype}`, dtype === 'float32'),
    async prepare({ folder, key }, log) {
      const model = made(key, 'ctranslate2')
      await makeOnce(model, async (output) => {
        const converter = await pythonEnvironment('pytorch', log)
        log('converting the model for CTranslate2')
        await convertModel(converter, { script: 'convert_ctranslate2.py', model: folder, output })
      })
      const program = await pythonEnvironment('ctranslate2', log)
      return { launch: python(program, 'ctranslate2_worker.py'), load: { model, dtype } }
    },
  }
}

function pytorch(dtype: string): Peer {
  return {
    ...peer(`pytorch-${dtype}`, dtype === 'float32'),
    async prepare({ folder }, log) {
      const program = await pythonEnvironment('pytorch', log)
      return { launch: python(program, 'pytorch_worker.py'), load: { model: folder, dtype } }
    },
  }
}

function transformersJs(dtype: string): Peer {
  return {
    ...peer(`transformersjs-${dtype}`, dtype === 'fp32'),
    async prepare({ folder, key }, log) {
      const model = made(key, 'transformersjs')
      await makeOnce(model, async (output) => {
        const exporter = await pythonEnvironment('onnx', log)
        log('exporting the model for transformers.js')
        await convertModel(exporter, { script: 'export_onnx.py', model: folder, output })
      })
      await transformersJsEnvironment(log)
      const words = [join(TRANSFORMERS_JS_FOLDER, 'worker.js')]
      return { launch: { program: process.execPath, words }, load: { model, dtype } }
    },
  }
}

function ours(engine: 'onnx' | 'tfjs', variant: string, dtype: EngineDtype): Peer {
  const words = ['--import', 'tsx', fileURLToPath(new URL('./ours.ts', import.meta.url))]
  return {
    ...peer(`${engine}-${variant}`, dtype === 'float32'),
    hasExits: true,
    async prepare({ folder }) {
      const load = {
        model: folder,
        dtype,
        engine,
        ...(engine === 'tfjs' && { backend: variant.split('-')[0] }),
      }
      return { launch: { program: process.execPath, words }, load }
    },
  }
}

function peer(name: string, isFloat32: boolean): Omit<Peer, 'prepare'> {
  return { name, isFloat32, hasExits: false }
}

function made(key: string, name: string): string {
  return join(peersFolder(), 'models', key, name)
}

function python(program: string, script: string): Omit<Launch, 'name'> {
  return { program, words: [pythonScript(script)], env: PYTHON_ENVIRONMENT }
}

/** All that can take part. */
export const PEERS: readonly Peer[] = [
  ctranslate2('float32'),
  ctranslate2('int8'),
  pytorch('float32'),
  pytorch('int8'),
  transformersJs('fp32'),
  transformersJs('q8'),
  transformersJs('q4'),
  ...ENGINE_DTYPES.map((dtype) => ours('onnx', dtype, dtype)),
  ours('tfjs', 'wasm', 'float32'),
  ours('tfjs', 'wasm-int8', 'int8'),
  ours('tfjs', 'node', 'float32'),
]

/** Those that names name: a whole name, or a family (`onnx`). Throws `config.invalid-value` for what names none. */
export function selectPeers(names: readonly string[]): readonly Peer[] {
  const familyOf = (name: string) => name.slice(0, name.indexOf('-'))
  const isNamed = (name: string) => names.some((given) => given === name || given === familyOf(name))
  const known = PEERS.flatMap(({ name }) => [name, familyOf(name)])
  for (const name of names) {
    if (known.includes(name)) continue
    const near = suggestNearest(name, known)
    throw new ShallowDeepError({
      code: 'config.invalid-value',
      message: `--peers: unknown peer ${name}; expected some of ${[...new Set(known)].toSorted().join(', ')}`,
      hint: near === undefined ? undefined : `did you mean ${near}?`,
      details: { name },
    })
  }
  return PEERS.filter(({ name }) => isNamed(name))
}
