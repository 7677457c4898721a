// Every configuration of the project: schema, defaults, checking.
export * from './model.js'
export * from './parse.js'
