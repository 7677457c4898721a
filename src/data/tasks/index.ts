// Tasks: one file each, and the registry.
export * from './prefix.js'
export * from './questionAnswering.js'
export * from './registry.js'
export * from './summarization.js'
export * from './task.js'
export * from './text2text.js'
export * from './translation.js'
