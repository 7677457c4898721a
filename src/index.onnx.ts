// The parts of the library that decode with ONNX Runtime and write ONNX graphs. Browser-safe: the runtime
// (onnxruntime-node or onnxruntime-web) is handed in.
export * from './engines/onnx/index.js'
export * from './onnx/index.js'
