// Matrices in few bits, as ONNX Runtime's MatMulNBits takes them: blocks of a column with a scale each, symmetric, so that
// zero stays zero.
import { BLOCK_SIZE, type HostWeight } from '../config/index.js'

/** A matrix [in, out] as MatMulNBits takes it. */
export interface BlockMatrix {
  readonly numInputs: number
  readonly numOutputs: number
  /** [out, blocks, BLOCK_SIZE * bits / 8]: of two 4-bit numbers in a byte the first is the lower one. */
  readonly packed: Uint8Array
  /** [out, blocks]. */
  readonly scales: Float32Array
}

/**
 * Quantises a matrix [in, out] in blocks along its inputs. Each block's scale puts its largest value at the end of the
 * range that has one step more, and is then fitted to the rounded values by least squares.
 */
export function quantiseBlocks({ shape, data }: HostWeight, bits: 4 | 8): BlockMatrix {
  const [numInputs, numOutputs] = shape
  const numBlocks = Math.ceil(numInputs / BLOCK_SIZE)
  const packed = new Uint8Array(numOutputs * numBlocks * ((BLOCK_SIZE * bits) / 8))
  const scales = new Float32Array(numOutputs * numBlocks)
  const zero = 2 ** (bits - 1)
  const values = new Float32Array(BLOCK_SIZE)
  const levels = new Int16Array(BLOCK_SIZE)
  let to = 0
  for (let output = 0, block = 0; output < numOutputs; output++) {
    for (let start = 0; start < numInputs; start += BLOCK_SIZE, block++) {
      // The last block may be longer than the matrix; what lies beyond is zero.
      for (let i = 0; i < BLOCK_SIZE; i++) {
        values[i] = start + i < numInputs ? data[(start + i) * numOutputs + output] : 0
      }
      scales[block] = quantiseBlock(values, zero, levels)
      for (let i = 0; i < BLOCK_SIZE; i++) {
        const level = levels[i] + zero
        if (bits === 8) packed[to++] = level
        else if (i % 2 === 0) packed[to] = level
        else packed[to++] |= level << 4
      }
    }
  }
  return { numInputs, numOutputs, packed, scales }
}

/** Fills `levels`, each from -zero to zero - 1, and returns the scale. */
function quantiseBlock(values: Float32Array, zero: number, levels: Int16Array): number {
  let extreme = 0
  for (const value of values) if (Math.abs(value) > Math.abs(extreme)) extreme = value
  if (extreme === 0) {
    levels.fill(0)
    return 0
  }
  const inverse = -zero / extreme
  let along = 0
  let norm = 0
  for (let i = 0; i < values.length; i++) {
    const level = Math.min(Math.round(values[i] * inverse), zero - 1)
    levels[i] = level
    along += values[i] * level
    norm += level * level
  }
  return along / norm
}
