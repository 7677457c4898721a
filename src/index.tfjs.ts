// The parts of the library that compute with TensorFlow.js: the model, the engine, training. Browser-safe.
export * from './engines/tfjs/index.js'
export * from './model/index.js'
export * from './training/index.js'
export * from './pipeline/index.tfjs.js'
