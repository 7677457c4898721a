// The engine of choice for a model: tfjs on a backend, or ONNX Runtime.
import type { EngineName, EngineDtype, HostWeights, MatrixGroup, ModelConfig } from '../config/index.js'
import type { DecoderEngine } from '../decoding/index.js'
import { createOnnxEngine } from '../engines/onnx/index.js'
import { defaultThreads, loadOnnxRuntime } from '../engines/onnx/index.node.js'
import { createTfjsEngine, type BackendName } from '../engines/tfjs/index.js'
import { chooseBackend } from '../engines/tfjs/index.node.js'
import { ShallowDeepError } from '../errors.js'

export interface EngineOptions {
  /** Neutral: tfjs. */
  readonly engine?: EngineName
  /** Of tfjs. Neutral: undefined, which takes the native backend when it is built, else wasm. */
  readonly backend?: BackendName
  /** Threads inside one operation. Neutral: undefined, what the backend takes; with onnx, as many as there are cores. */
  readonly threads?: number
  /** Of onnx; tfjs computes in float32. Neutral: float32. */
  readonly dtype?: EngineDtype
  /** Of onnx: matrices that stay in float32 whatever `dtype` is. Neutral: none. */
  readonly keepFloat?: readonly MatrixGroup[]
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
 * Checks engine options against each other, before anything is read. Throws `engine.dtype-unsupported` (tfjs in anything
 * but float32) and `engine.backend-unavailable` (a backend of tfjs for onnx).
 */
export function checkEngineOptions({ engine = 'tfjs', backend, dtype, keepFloat }: EngineOptions): void {
  if (engine === 'onnx' && backend !== undefined) {
    throw new ShallowDeepError({
      code: 'engine.backend-unavailable',
      message: `backend ${backend}: expected none with engine onnx, which computes on the processor`,
      hint: 'leave --backend out, or take --engine tfjs',
      details: { engine, backend },
    })
  }
  const lossy = dtype !== undefined && dtype !== 'float32'
  if (engine === 'tfjs' && (lossy || keepFloat !== undefined)) {
    throw new ShallowDeepError({
      code: 'engine.dtype-unsupported',
      message: `engine tfjs computes in float32, asked for was ${lossy ? `dtype ${dtype}` : 'keepFloat'}`,
      hint: 'take --engine onnx',
      details: { engine, dtype, keepFloat },
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
    const chosen = await chooseBackend({ backend, threads })
    return { engine: createTfjsEngine({ ...model, backend: chosen }), backend: chosen }
  }
  const runtime = await loadOnnxRuntime()
  const numThreads = threads ?? defaultThreads()
  const engine = await createOnnxEngine({ ...model, runtime, dtype, keepFloat, threads: numThreads })
  const reason = `${engine.info.dtype}, ${numThreads} ${numThreads === 1 ? 'thread' : 'threads'}`
  return { engine, backend: { name: 'onnxruntime', reason, threads: numThreads } }
}
