// Tokenizers from files, for Node.
export { readTokenizer } from './load.node.js'
