// The parts that need a model in training.
export * from './validateModel.js'
