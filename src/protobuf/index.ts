// Writing of protobuf messages, whatever their schema.
export * from './chunks.js'
