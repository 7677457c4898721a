// The ONNX Runtime engine, browser-safe: the runtime is handed in.
export { createOnnxEngine, type OnnxEngineOptions } from './engine.js'
export type { OnnxRuntime } from './runtime.js'
