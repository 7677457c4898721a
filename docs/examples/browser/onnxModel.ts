// The model on ONNX Runtime: its graphs are made in the page, from the same checkpoint.
import * as ort from 'onnxruntime-web/wasm'
import { fetchCheckpoint, type FetchCheckpointOptions, type TextModel } from 'shallowdeep'
import { createOnnxEngine, type OnnxEngineOptions } from 'shallowdeep/onnx'

export async function openOnOnnx(
  checkpoint: string,
  { dtype, threads, ...options }: Pick<OnnxEngineOptions, 'dtype' | 'threads'> & FetchCheckpointOptions = {},
): Promise<TextModel> {
  // Threads need a page that is isolated (crossOriginIsolated); elsewhere there is one.
  const numThreads = crossOriginIsolated ? (threads ?? navigator.hardwareConcurrency) : 1
  ort.env.wasm.wasmPaths = new URL('wasm/', document.baseURI).href
  ort.env.wasm.numThreads = numThreads
  const { config, weights, ...text } = await fetchCheckpoint(checkpoint, options)
  return {
    ...text,
    engine: await createOnnxEngine({ config, weights, dtype, runtime: ort, threads: numThreads }),
  }
}
