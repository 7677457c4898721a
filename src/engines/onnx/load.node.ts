// onnxruntime-node, where it is installed.
import { availableParallelism } from 'node:os'
import { ShallowDeepError } from '../../errors.js'
import type { OnnxRuntime } from './runtime.js'

/**
 * Loads onnxruntime-node. Throws `engine.onnxruntime-missing` where it is not installed or does not load.
 * @param load imports the package; tests fail it
 */
export async function loadOnnxRuntime(
  load: () => Promise<OnnxRuntime> = () => import('onnxruntime-node'),
): Promise<OnnxRuntime> {
  try {
    return await load()
  } catch (cause) {
    throw new ShallowDeepError({
      code: 'engine.onnxruntime-missing',
      message: `--engine onnx needs the package onnxruntime-node, which does not load (${reasonOf(cause)})`,
      hint: 'npm install onnxruntime-node --onnxruntime-node-install=skip, or take --engine tfjs',
      cause,
    })
  }
}

/** Threads that an operation takes where nothing else is asked for: as many as the machine computes at once. */
export function defaultThreads(): number {
  return availableParallelism()
}

function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause)
  return text.split('\n')[0]
}
