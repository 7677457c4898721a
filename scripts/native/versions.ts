// What a native build is made of: the pinned versions, in this one place, and what they need of the machine.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

/** The two builds: which wheel, under which folder of `.native/`, and about how much room they take while building. */
export const BUILDS = {
  node: { folder: 'cpu', label: 'CPU', needsBytes: 3e9, script: 'setup:native' },
  'node-gpu': { folder: 'gpu', label: 'GPU', needsBytes: 16e9, script: 'setup:native:gpu' },
} as const

export type BuildKind = keyof typeof BUILDS

/** Raise it when the steps in build.ts change, so that builds made before are replaced. */
export const RECIPE = 1
/** TensorFlow, as the Python wheel that carries its C library and headers. */
export const TENSORFLOW_VERSION = '2.21.0'
/** The Python versions that the wheel is published for, the best-tried first. */
export const PYTHON_VERSIONS = ['3.12', '3.11', '3.13', '3.10'] as const
/** `node_api.h`. */
export const NODE_API_HEADERS_VERSION = '1.9.0'
/** The only dependency that the parts of tfjs-node we load really need. */
export const GOOGLE_PROTOBUF_VERSION = '3.21.4'
/** The version of Node-API to compile for; Node 20.3 and later have it. */
export const NAPI_VERSION = 8

/** The wheel of a build for this processor: tensorflow-cpu is published for x64 only, tensorflow for both. */
export function wheelOf(kind: BuildKind, arch: string): string {
  if (kind === 'node-gpu') return 'tensorflow[and-cuda]'
  return arch === 'x64' ? 'tensorflow-cpu' : 'tensorflow'
}

/** The version of the project's own tfjs; tfjs-node is taken in the same one. */
export function tfjsVersion(): string {
  const file = createRequire(import.meta.url).resolve('@tensorflow/tfjs/package.json')
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
