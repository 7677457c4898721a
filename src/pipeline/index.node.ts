// The parts that open folders and write training runs.
export * from './compareRuns.node.js'
export * from './importCheckpoint.node.js'
export * from './openCheckpoint.node.js'
export * from './readEvaluationExamples.node.js'
export * from './scorePredictions.node.js'
export * from './trainLog.node.js'
export * from './trainRun.node.js'
export * from './trainRunFolder.node.js'
