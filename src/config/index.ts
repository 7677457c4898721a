// Every configuration of the project: schema, defaults, checking.
export * from './calibration.js'
export * from './decoding.js'
export * from './expectation.js'
export * from './model.js'
export * from './parse.js'
export * from './weightNames.js'
export * from './training.js'
