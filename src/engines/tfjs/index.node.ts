// Choice of the tfjs backend under Node.
export * from './backend.node.js'
