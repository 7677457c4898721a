// The T5 model: its arithmetic, its LayersModel and its initialisation.
export * from './build.js'
export * from './functions.js'
export * from './initialise.js'
export * from './lora.js'
export * from './product.js'
export * from './relativeBias.js'
export { registerLayers } from './layers.js'
export type { TrainingPass } from './weightedLayer.js'
