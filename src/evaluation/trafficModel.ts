// What decoding reads and computes, from a model's shape alone: bytes and operations of the encoder, of a pass through some
// decoder layers and of an exit, and the time below which no engine can be at a given memory bandwidth. Weights count once
// a pass, whatever the number of positions in it; activations stay in a processor's own memory and count nothing. No
// measuring here. See docs/performance.md for the formulas.
import {
  BLOCK_SIZE,
  weightSpecs,
  type EngineDtype,
  type ModelConfig,
  type WeightSpec,
} from '../config/index.js'
import { expectedCost, type ExitPattern, type SegmentCosts } from './costModel.js'

/** What some work reads and writes in memory, and how much it computes. */
export interface Traffic {
  readonly bytes: number
  /** Multiplications and additions. */
  readonly flops: number
}

/** A model in a precision. */
export interface TrafficModel {
  readonly config: ModelConfig
  readonly dtype: EngineDtype
  /** What shares a scale in `int8` and `q4`: a block of inputs as on ONNX Runtime, or a column as on tfjs. Neutral: blocks. */
  readonly scales?: 'blocks' | 'columns'
}

/** What a pass meets. */
export interface PassSize {
  /** Source tokens M. */
  readonly sourceLength: number
  /** Positions in the caches before the pass; may be a mean, and so a fraction. */
  readonly contextLength: number
  /** Positions of each row that go through together. Neutral: 1. */
  readonly positions?: number
  /** Rows that go through together. Neutral: 1. */
  readonly rows?: number
}

const FLOAT_BYTES = 4
const BITS = { int8: 8, q4: 4 } as const

/**
 * Bytes of a matrix [in, out] as it is multiplied: 4 a number in float32; else 8 or 4 bits a number and 4 bytes for each
 * column, or for each block of {@link BLOCK_SIZE} inputs, the last one of a column filled up.
 */
export function matrixBytes(
  [numInputs, numOutputs]: readonly number[],
  { dtype, scales = 'blocks' }: Pick<TrafficModel, 'dtype' | 'scales'>,
): number {
  if (dtype === 'float32') return FLOAT_BYTES * numInputs * numOutputs
  if (scales === 'columns') return numOutputs * ((numInputs * BITS[dtype]) / 8 + FLOAT_BYTES)
  return numOutputs * Math.ceil(numInputs / BLOCK_SIZE) * ((BLOCK_SIZE * BITS[dtype]) / 8 + FLOAT_BYTES)
}

/**
 * The encoder over one source, with the keys and values that the decoder's cross-attention is going to read of it.
 */
export function encoderTraffic(model: TrafficModel, sourceLength: number): Traffic {
  const { dModel, numHeads, dKv, encoderLayers, decoderLayers } = model.config
  const weights = weightTraffic(model, isEncoderWeight)
  const memory = 2 * decoderLayers * numHeads * dKv * sourceLength
  return {
    bytes: weights.bytes + FLOAT_BYTES * (memory + sourceLength * dModel),
    flops: weights.flops * sourceLength + 4 * encoderLayers * numHeads * dKv * sourceLength ** 2,
  }
}

/**
 * A pass through decoder layers `from + 1` to `to`: their weights, the keys and values of the source and of what came
 * before, and those of the new positions, which are written.
 */
export function segmentTraffic(
  model: TrafficModel,
  { from, to }: { readonly from: number; readonly to: number },
  { sourceLength, contextLength, positions = 1, rows = 1 }: PassSize,
): Traffic {
  const isInside = (name: string) => {
    const layer = decoderLayerOf(name)
    return layer !== undefined && layer >= from && layer < to
  }
  const weights = weightTraffic(model, isInside)
  const { numHeads, dKv } = model.config
  const width = (to - from) * numHeads * dKv
  const remembered = sourceLength + contextLength + positions
  // Of each position its own source and all positions up to itself, twice: products with keys, sums of values.
  const attended = positions * (sourceLength + contextLength + (positions + 1) / 2)
  return {
    bytes: weights.bytes + 2 * FLOAT_BYTES * width * remembered * rows,
    flops: (weights.flops * positions + 4 * width * attended) * rows,
  }
}

/** An exit at some positions: the norm and the output head. `positions`: those of all rows. Neutral: 1. */
export function exitTraffic(model: TrafficModel, positions = 1): Traffic {
  const { bytes, flops } = weightTraffic(model, (name) => isExitWeight(name, model.config))
  return { bytes, flops: flops * positions }
}

/** Works together. */
export function addTraffic(...parts: readonly Traffic[]): Traffic {
  return {
    bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    flops: parts.reduce((sum, { flops }) => sum + flops, 0),
  }
}

/** What decoding is bounded by. */
export interface DecodingSetting extends TrafficModel {
  readonly sourceLength: number
  /** Tokens of a sequence, at least 1; may be a mean, and so a fraction. */
  readonly numTokens: number
  /** Bytes per second over 1e9 that the memory delivers. */
  readonly gigabytesPerSecond: number
}

/** Least times by memory bandwidth. */
export interface DecodingBound {
  /** Full decoding of a token. */
  readonly fullMs: number
  /** A token where all leave at the shallow exit. */
  readonly staticMs: number
  /** Passes of one row, with as much in the caches as a token of the sequence meets by average. */
  readonly costs: SegmentCosts
}

/**
 * The bound of one row or, per token, of several that are decoded together (`costs` are of one row then too).
 * @param rows neutral: 1
 */
export function decodingBound(setting: DecodingSetting, rows = 1): DecodingBound {
  const { sourceLength, numTokens, gigabytesPerSecond } = setting
  const { shallowLayers, decoderLayers } = setting.config
  const contextLength = (numTokens - 1) / 2
  const exit = exitTraffic(setting)
  /** Of a pass and its exit. */
  const msOf = (from: number, to: number, size: { readonly positions?: number; readonly rows?: number }) => {
    const segment = segmentTraffic(setting, { from, to }, { sourceLength, contextLength, ...size })
    return addTraffic(segment, exit).bytes / (gigabytesPerSecond * 1e6)
  }
  return {
    fullMs: msOf(0, decoderLayers, { rows }) / rows,
    staticMs: msOf(0, shallowLayers, { rows }) / rows,
    costs: {
      shallowMs: msOf(0, shallowLayers, {}),
      // Bytes are linear in the number of positions, and so is what lies between and beyond two of them.
      deep: [1, 2].map((positions) => ({ positions, ms: msOf(shallowLayers, decoderLayers, { positions }) })),
    },
  }
}

/**
 * The bound of one row in ms per token, by expectation, where tokens leave as a pattern says. Throws what
 * {@link expectedCost} throws.
 */
export function boundAtExits(setting: DecodingSetting, pattern: Omit<ExitPattern, 'numTokens'>): number {
  const { costs } = decodingBound(setting)
  return expectedCost(costs, { ...pattern, numTokens: Math.round(setting.numTokens) }).msPerToken
}

/** Weights that are read once a pass, and the operations on them at one position. */
function weightTraffic(model: TrafficModel, isIncluded: (name: string) => boolean): Traffic {
  const parts = weightSpecs(model.config)
    .filter(({ name }) => isIncluded(name))
    .map((spec): Traffic => {
      const size = spec.shape.reduce((a, b) => a * b, 1)
      if (!isMultiplied(spec)) return { bytes: FLOAT_BYTES * size, flops: 0 }
      // A tied head is the embedding on its side.
      const shape = spec.name === 'embedding' ? [...spec.shape].reverse() : spec.shape
      return { bytes: matrixBytes(shape, model), flops: 2 * size }
    })
  return addTraffic(...parts)
}

/** Norms, position biases and the small confidence head stay in float32 and hardly compute. */
function isMultiplied({ name, shape }: WeightSpec): boolean {
  return shape.length === 2 && !name.endsWith('relativeBias') && !name.startsWith('confidenceHead.')
}

function isEncoderWeight(name: string): boolean {
  return name.startsWith('encoder.') || /\.crossAttention\.(key|value)$/.test(name)
}

/** The decoder layer, from 0, that reads a weight for each token; the first one owns the position bias of all. */
function decoderLayerOf(name: string): number | undefined {
  if (name === 'decoder.relativeBias') return 0
  const layer = /^decoder\.(\d+)\./.exec(name)
  return layer && !isEncoderWeight(name) ? Number(layer[1]) : undefined
}

function isExitWeight(name: string, { tieEmbeddings }: ModelConfig): boolean {
  if (name === 'embedding') return tieEmbeddings
  return name === 'head' || name === 'decoder.finalNorm' || name.startsWith('confidenceHead.')
}
