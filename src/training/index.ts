// Training: joint loss, optimisers, schedule, validation and the loop. Files of a run: index.node.ts.
export * from './dropout.js'
export * from './gradients.js'
export * from './loss.js'
export * from './optimiser.js'
export * from './parameterGroups.js'
export * from './schedule.js'
export * from './trainer.js'
export * from './validation.js'
