// Data on buffers and in memory: examples, encoding, batches, tasks. Files: index.node.ts.
export * from './batching.js'
export * from './encode.js'
export * from './examples.js'
export * from './tasks/index.js'
