// onnxruntime-node under Node.
export * from './load.node.js'
