// Checkpoints on buffers: safetensors, half precision, and the mapping to the Hugging Face layout. Folders: index.node.ts.
export * from './files.js'
export * from './float16.js'
export * from './safetensors.js'
export * from './safetensorsWriter.js'
export * from './tensor.js'
export * from './weights.js'
