// The tfjs engine, browser-safe: choice of backend, and decoding on it.
export * from './backend.js'
export { createTfjsEngine } from './engine.js'
export type { TfjsEngineOptions } from './engine.js'
