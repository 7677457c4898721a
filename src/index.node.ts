// The parts of the library that need Node: files and folders, the choice of backend, training runs on disk.
export {
  readCheckpointFolder,
  readRun,
  writeCheckpointFolder,
  type RunView,
} from './checkpoint/index.node.js'
export * from './config/index.node.js'
export * from './data/index.node.js'
export * from './engines/onnx/index.node.js'
export * from './engines/tfjs/index.node.js'
export * from './pipeline/index.node.js'
export * from './tokenizer/index.node.js'
