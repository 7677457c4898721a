// What a user does, composed of the folders below: here text in and text out, browser-safe and without a tensor library.
// Folders and training runs: index.node.ts; validation of a model while it is trained: index.tfjs.ts.
export * from './chooseDepth.js'
export * from './generate.js'
export * from './measureDepths.js'
export * from './onnxFiles.js'
export * from './textCheckpoint.js'
