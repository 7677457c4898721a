// Training runs and adapters on disk.
export * from './adapter.node.js'
export * from './run.node.js'
