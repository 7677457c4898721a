// Text to token ids and back, and the training of a vocabulary. Browser-safe; files are read in index.node.ts.
export * from './detokeniser.js'
export * from './huggingFace.js'
export * from './sentencePiece/openSentencePiece.js'
export { sentencePieceToTokenizerJson, type SentencePieceOptions } from './sentencePiece/toTokenizerJson.js'
export type { DecodeOptions, Tokenizer } from './tokenizer.js'
export * from './train.js'
export { countWords, normaliseText } from './words.js'
