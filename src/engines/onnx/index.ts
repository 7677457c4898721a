// The ONNX Runtime engine, browser-safe: the runtime is handed in.
export { createOnnxEngine, type OnnxEngineOptions } from './engine.js'
export { MATRIX_GROUPS, ONNX_DTYPES, type MatrixGroup, type OnnxDtype } from './precision.js'
export type { OnnxRuntime } from './runtime.js'
