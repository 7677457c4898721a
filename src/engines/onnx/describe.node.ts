// The account of onnxruntime-node that `shallowdeep info` prints.
import { createRequire } from 'node:module'
import { ShallowDeepError } from '../../errors.js'
import { loadOnnxRuntime } from './load.node.js'
import type { OnnxRuntime } from './runtime.js'

/** Whether ONNX Runtime is here, for `--engine onnx`. */
export interface OnnxRuntimeReport {
  /** Found, and it loads. */
  readonly isPresent: boolean
  /** Of the package onnxruntime-node; absent where it is not present. */
  readonly version?: string
  /** One sentence: version, or what is missing and how to get it. */
  readonly detail: string
}

/**
 * Loads onnxruntime-node in order to know.
 * @param load imports the package; tests fail it
 */
export async function describeOnnxRuntime(load?: () => Promise<OnnxRuntime>): Promise<OnnxRuntimeReport> {
  try {
    await loadOnnxRuntime(load)
  } catch (error) {
    if (!(error instanceof ShallowDeepError)) throw error
    return { isPresent: false, detail: `does not load; ${error.hint}` }
  }
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string }
  return { isPresent: true, version, detail: `onnxruntime-node ${version}; --engine onnx takes it` }
}
