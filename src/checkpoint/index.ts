// Checkpoints on buffers: safetensors, half precision, and the mapping to the Hugging Face layout. Folders: index.node.ts.
export * from './files.js'
export * from './float16.js'
export * from './json.js'
export * from './safetensors.js'
export * from './safetensorsWriter.js'
export { SHARD_INDEX_FILE } from './shards.js'
export * from './tensor.js'
export * from './weights.js'
