// What this engine uses of ONNX Runtime, so that onnxruntime-node or onnxruntime-web can be handed in, and neither of them
// is needed to compile.

export type RuntimeTensorType = 'float32' | 'int32'

/** A tensor on the host. */
export interface RuntimeTensor {
  readonly dims: readonly number[]
  readonly data: unknown
}

/** Tensors by name. */
export type RuntimeTensors = Readonly<Record<string, RuntimeTensor>>

export interface RuntimeSession {
  /** `fetches`: the outputs that are wanted, each with the tensor to write it into or null. */
  run(feeds: RuntimeTensors, fetches: Readonly<Record<string, RuntimeTensor | null>>): Promise<RuntimeTensors>
  release(): Promise<void>
}

export interface RuntimeSessionOptions {
  readonly intraOpNumThreads?: number
  readonly interOpNumThreads?: number
  readonly executionProviders?: readonly string[]
  readonly logSeverityLevel?: 0 | 1 | 2 | 3 | 4
  readonly extra?: Record<string, unknown>
}

/** The namespace of onnxruntime-node or onnxruntime-web. */
export interface OnnxRuntime {
  /** `versions.web` is onnxruntime-web's own mark. */
  readonly env?: { readonly versions?: { readonly web?: string } }
  readonly InferenceSession: {
    create(model: Uint8Array, options?: RuntimeSessionOptions): Promise<RuntimeSession>
  }
  readonly Tensor: new (
    type: RuntimeTensorType,
    data: Float32Array | Int32Array,
    dims: readonly number[],
  ) => RuntimeTensor
}
