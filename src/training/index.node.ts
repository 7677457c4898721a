// Training runs on disk.
export * from './run.node.js'
