// A checkpoint as a folder of ONNX graphs for ONNX Runtime, with what a program needs beside them to decode: shapes,
// tokenizer, and an account of the graphs' inputs and outputs.
import { toJsonText, type Checkpoint, type FileContent } from '../checkpoint/index.js'
import { precisionFor, toHuggingFace, type ModelConfig, type PrecisionOptions } from '../config/index.js'
import { cachedHeadWidth, embeddingGraph, encoderGraph, exitGraph, segmentGraph } from '../onnx/index.js'
import { blocksOf, type Chunks } from '../protobuf/index.js'

/** Name of the file that tells such a folder from others. */
export const ONNX_ENCODER_FILE = 'encoder.onnx'

/**
 * The files by name. The graphs are made as they are written, one after the other; writing throws `onnx.too-large` where
 * one of them is more than an ONNX file can hold.
 */
export function toOnnxFiles(
  { config, weights, tokenizerJson, calibration }: Checkpoint,
  precision: PrecisionOptions,
): Map<string, FileContent> {
  const model = { config, weights, precisionOf: precisionFor(precision) }
  const { shallowLayers, decoderLayers } = config
  const segments = [
    { from: 0, to: shallowLayers },
    { from: shallowLayers, to: decoderLayers },
  ]
  const files = new Map<string, FileContent>([
    ['embedding.onnx', written(() => embeddingGraph(model))],
    [ONNX_ENCODER_FILE, written(() => encoderGraph(model))],
    ...segments.map((segment): [string, FileContent] => [
      `decoder-${segment.from + 1}-${segment.to}.onnx`,
      written(() => segmentGraph(model, segment)),
    ]),
    ['exit.onnx', written(() => exitGraph(model))],
    ['config.json', toJsonText(toHuggingFace(config))],
  ])
  if (tokenizerJson) files.set('tokenizer.json', toJsonText(tokenizerJson))
  if (calibration) files.set('calibration.json', toJsonText(calibration))
  files.set('README.md', describeGraphs(config, precision))
  return files
}

function written(make: () => Chunks): Iterable<Uint8Array> {
  return { [Symbol.iterator]: () => blocksOf(make()) }
}

function describeGraphs(
  config: ModelConfig,
  { dtype = 'float32', keepFloat = [] }: PrecisionOptions,
): string {
  const { shallowLayers: S, decoderLayers: L, dModel: D, numHeads: H, dKv: K, vocabSize: V } = config
  const width = cachedHeadWidth(config)
  const kept = keepFloat.length === 0 ? '' : ` (float32: ${keepFloat.join(', ')})`
  return `# A shallow-deep T5 as ONNX graphs

Matrices in ${dtype}${kept}, written by \`shallowdeep export --format onnx\`. They need ONNX Runtime 1.30 or later: beside ONNX's
own operators (version 23) they use \`GroupQueryAttention\`, \`MultiHeadAttention\`, \`SkipSimplifiedLayerNormalization\`
and, where quantised, \`MatMulNBits\` of \`com.microsoft\`. No weight stands in two of them but that of a tied head.

B rows, M source tokens, P new positions, C positions that a cache has room for, N positions in all. Layers i from 0.

| graph | inputs | outputs |
|---|---|---|
| \`embedding.onnx\` | \`tokens\` int64 [B, P] | \`states\` [B, P, ${D}] |
| \`${ONNX_ENCODER_FILE}\` | \`states\` [B, M, ${D}], \`mask\` int32 [B, M]: 1 at tokens, 0 at padding | \`encoded\` [B, M, ${D}]; \`cross_key.i\`, \`cross_value.i\` [B, ${H}, M, ${K}] |
| \`decoder-1-${S}.onnx\`, \`decoder-${S + 1}-${L}.onnx\` | \`states\` [B, P, ${D}]; \`positions\` int32 [B, P, 1], where they stand, from 0; \`last_position\` int32 [B], the last of each row; \`total_length\` int32 [], the largest of these plus one; \`mask\`, \`cross_key.i\`, \`cross_value.i\` as above; \`past_key.i\`, \`past_value.i\` [B, ${H}, C, ${width}] | \`next_states\` [B, P, ${D}]; \`present_key.i\`, \`present_value.i\` [B, ${H}, C, ${width}] |
| \`exit.onnx\` | \`states\` [N, ${D}] after layer ${S} or ${L} | \`best\` int64 [N, 2], \`probabilities\` [N, 2] of these two tokens, \`logits\` [N, ${V}], \`logit_sum\` [N, 1] |

- Decoding starts with token ${config.decoderStartId} at position 0 and ends with ${config.eosId}. The difference of the two probabilities is the confidence.
- C is at least \`total_length\`. Give \`present\` the memory of \`past\`, and only the new positions are written; to forget positions, count from where they began.
- Positions that left early wait: their states after layer ${S} go through \`decoder-${S + 1}-${L}.onnx\` together, P at once, when a later token needs it.
- More than one new position go with one row only (B = 1), unless nothing came before them.
`
}
