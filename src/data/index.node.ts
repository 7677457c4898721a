// Data files.
export * from './read.node.js'
