// Configuration files.
export * from './load.node.js'
