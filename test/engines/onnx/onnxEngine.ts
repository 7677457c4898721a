// The engine under test on onnxruntime-node, one thread.
import type { HostWeights, ModelConfig } from '../../../src/config/index.js'
import type { DecoderEngine } from '../../../src/decoding/index.js'
import { createOnnxEngine, type OnnxEngineOptions } from '../../../src/engines/onnx/index.js'
import { loadOnnxRuntime } from '../../../src/engines/onnx/index.node.js'

/** An engine for a model; the caller disposes it. */
export async function makeOnnxEngine(
  { config, weights }: { readonly config: ModelConfig; readonly weights: HostWeights },
  options: Pick<OnnxEngineOptions, 'dtype' | 'keepFloat'> = {},
): Promise<DecoderEngine> {
  return createOnnxEngine({ config, weights, runtime: await loadOnnxRuntime(), ...options })
}
