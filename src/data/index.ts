// Data on buffers and in memory: examples, encoding, batches. Files: index.node.ts.
export * from './batching.js'
export * from './encode.js'
export * from './examples.js'
