// The library's core, for browsers and Node alike: no Node module, no tensor library. Folders are opened by ./node,
// models are trained and run with ./tfjs.
export * from './calibration/index.js'
export * from './checkpoint/index.js'
export * from './config/index.js'
export * from './data/index.js'
export * from './decoding/index.js'
export * from './errors.js'
export * from './evaluation/index.js'
export * from './pipeline/index.js'
export * from './metrics/index.js'
export * from './random.js'
export {
  IncrementalDetokeniser,
  openSentencePiece,
  openTokenizer,
  sentencePieceToTokenizerJson,
  trainTokenizer,
  type SentencePieceOptions,
  type Tokenizer,
  type TrainTokenizerOptions,
} from './tokenizer/index.js'
