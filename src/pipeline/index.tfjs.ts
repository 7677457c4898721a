// The parts that need a model in training.
export * from './validateModel.js'
export * from './tfjsFiles.js'
