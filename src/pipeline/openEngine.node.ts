// The engine of choice for a model: tfjs on a backend, or ONNX Runtime.
import type { EngineName, HostWeights, ModelConfig, PrecisionOptions } from '../config/index.js'
import type { DecoderEngine } from '../decoding/index.js'
import { createOnnxEngine } from '../engines/onnx/index.js'
import { defaultThreads, loadOnnxRuntime } from '../engines/onnx/index.node.js'
import { createTfjsEngine, type BackendName } from '../engines/tfjs/index.js'
import { chooseBackend } from '../engines/tfjs/index.node.js'
import { ShallowDeepError } from '../errors.js'

export interface EngineOptions extends PrecisionOptions {
  /** Neutral: tfjs. */
  readonly engine?: EngineName
  /** Of tfjs. Neutral: undefined, which takes a native build that sees a GPU, else wasm; always wasm for int8. */
  readonly backend?: BackendName
  /** Threads inside one operation. Neutral: undefined, what the backend takes; with onnx, as many as there are cores. */
  readonly threads?: number
}

/** What computes, as a user reads it. */
export interface EngineDescription {
  /** A tfjs backend, or onnxruntime. */
  readonly name: string
  /** One sentence: why this one, and how. */
  readonly reason: string
  readonly threads: number
}

/** An engine that was made; the caller disposes it. */
export interface OpenedEngine {
  readonly engine: DecoderEngine
  readonly backend: EngineDescription
}

/**
 * Checks engine options against each other, before anything is read. Throws `engine.dtype-unsupported` (tfjs in q4, or in
 * int8 on another backend than wasm; matrices to be kept in float32 where all are) and `engine.backend-unavailable` (a backend of tfjs for onnx).
 */
export function checkEngineOptions(options: EngineOptions): void {
  const { engine = 'tfjs', backend, dtype = 'float32', keepFloat } = options
  if (engine === 'onnx' && backend !== undefined) {
    throw new ShallowDeepError({
      code: 'engine.backend-unavailable',
      message: `backend ${backend}: expected none with engine onnx, which computes on the processor`,
      hint: 'leave --backend out, or take --engine tfjs',
      details: { engine, backend },
    })
  }
  if (dtype === 'float32' && keepFloat !== undefined) {
    throw new ShallowDeepError({
      code: 'engine.dtype-unsupported',
      message: 'keepFloat: expected with dtype int8 or q4; in float32 every matrix stays in float32',
      hint: 'leave --keep-float out, or take --dtype int8',
      details: { engine, dtype, keepFloat },
    })
  }
  if (engine === 'tfjs' && dtype === 'q4') {
    throw new ShallowDeepError({
      code: 'engine.dtype-unsupported',
      message: 'engine tfjs computes in float32, or on wasm in int8; asked for was q4',
      hint: 'take --engine onnx, or --dtype int8',
      details: { engine, dtype },
    })
  }
  if (engine === 'tfjs' && dtype === 'int8' && backend !== undefined && backend !== 'wasm') {
    throw new ShallowDeepError({
      code: 'engine.dtype-unsupported',
      message: `backend ${backend} computes in float32, asked for was int8`,
      hint: 'take --backend wasm, or --engine onnx',
      details: { engine, backend, dtype },
    })
  }
}

/**
 * Makes the engine that options name for a model. Throws what {@link checkEngineOptions}, choosing a tfjs backend and
 * creating engines throw, and `engine.onnxruntime-missing`.
 */
export async function openEngine(
  model: { readonly config: ModelConfig; readonly weights: HostWeights },
  options: EngineOptions,
): Promise<OpenedEngine> {
  checkEngineOptions(options)
  const { engine: name = 'tfjs', backend, threads, dtype, keepFloat } = options
  if (name === 'tfjs') {
    const own = dtype === 'int8' ? 'wasm' : backend
    const chosen = await chooseBackend({ backend: own, threads, purpose: 'decoding' })
    const engine = createTfjsEngine({ ...model, backend: chosen, dtype, keepFloat })
    return { engine, backend: chosen }
  }
  const runtime = await loadOnnxRuntime()
  const numThreads = threads ?? defaultThreads()
  const engine = await createOnnxEngine({ ...model, runtime, dtype, keepFloat, threads: numThreads })
  const reason = `${engine.info.dtype}, ${numThreads} ${numThreads === 1 ? 'thread' : 'threads'}`
  return { engine, backend: { name: 'onnxruntime', reason, threads: numThreads } }
}
