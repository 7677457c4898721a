// A shallow-deep T5 as ONNX graphs, written from its weights: browser-safe, and without ONNX Runtime.
export {
  embeddingGraph,
  encoderGraph,
  exitGraph,
  segmentGraph,
  type GraphModel,
  type Segment,
} from './graphs.js'
export { cachedHeadWidth } from './matrices.js'
export { NUM_PROPOSED, proposalGraph } from './proposal.js'
