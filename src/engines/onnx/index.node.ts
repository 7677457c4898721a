// onnxruntime-node under Node.
export * from './describe.node.js'
export * from './load.node.js'
