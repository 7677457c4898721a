// Data files.
export * from './predictions.node.js'
export * from './read.node.js'
