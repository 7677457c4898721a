// Quantised matrices: what they stand for is near what they were made of, and they are packed as ONNX Runtime reads them.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { quantiseBlocks } from '../../src/onnx/quantise.js'
import { BLOCK_SIZE } from '../../src/config/index.js'
import { Random } from '../../src/random.js'

const matrices = fc
  .record({
    numInputs: fc.integer({ min: 1, max: 80 }),
    numOutputs: fc.integer({ min: 1, max: 7 }),
    seed: fc.nat(),
  })
  .map(({ numInputs, numOutputs, seed }) => {
    const random = new Random(seed)
    const data = Float32Array.from(
      { length: numInputs * numOutputs },
      () => random.normal() * 10 ** random.integer(3),
    )
    return { shape: [numInputs, numOutputs], data }
  })

/** A block matrix's levels [out, in], without what pads the last block. */
function levelsOf({ packed, scales, numInputs, numOutputs }: ReturnType<typeof quantiseBlocks>, bits: 4 | 8) {
  const padded = (scales.length / numOutputs) * BLOCK_SIZE
  return (output: number, input: number) => {
    const index = output * padded + input
    assert.ok(input < numInputs)
    return bits === 8 ? packed[index] - 128 : ((packed[index >> 1] >> (4 * (index % 2))) & 15) - 8
  }
}

describe('quantised matrices', () => {
  for (const bits of [4, 8] as const) {
    it(`of ${bits} bits are the nearest steps of each block's range, and lose no more than these by their scale`, () => {
      fc.assert(
        fc.property(matrices, (matrix) => {
          const blocks = quantiseBlocks(matrix, bits)
          const [numInputs, numOutputs] = matrix.shape
          const level = levelsOf(blocks, bits)
          const numBlocks = Math.ceil(numInputs / BLOCK_SIZE)
          assert.equal(blocks.scales.length, numBlocks * numOutputs)
          assert.equal(blocks.packed.length, (numBlocks * numOutputs * BLOCK_SIZE * bits) / 8)
          const most = 2 ** (bits - 1)
          for (let output = 0; output < numOutputs; output++) {
            for (let start = 0; start < numInputs; start += BLOCK_SIZE) {
              const inputs = Array.from(
                { length: Math.min(BLOCK_SIZE, numInputs - start) },
                (_, i) => start + i,
              )
              const values = inputs.map((input) => matrix.data[input * numOutputs + output])
              const levels = inputs.map((input) => level(output, input))
              const extreme = values.reduce((far, x) => (Math.abs(x) > Math.abs(far) ? x : far))
              const step = -extreme / most
              for (const [i, value] of values.entries()) {
                // At the short end of the range a value is cut by up to a whole step.
                const isCut = levels[i] === most - 1 && value / step >= levels[i]
                const off = Math.abs(value / step - levels[i])
                assert.ok(off <= (isCut ? 1 : 0.5) + 1e-9, `${value} in steps of ${step}: ${levels[i]}`)
              }
              const loss = (scale: number) =>
                values.reduce((sum, value, i) => sum + (levels[i] * scale - value) ** 2, 0)
              const scale = blocks.scales[output * numBlocks + start / BLOCK_SIZE]
              assert.ok(loss(scale) <= loss(step) * (1 + 1e-6) + 1e-9 * extreme ** 2, `${scale} for ${step}`)
            }
          }
        }),
      )
    })
  }

  it('of zeros are zeros', () => {
    const zeros = { shape: [40, 2], data: new Float32Array(80) }
    const { packed, scales } = quantiseBlocks(zeros, 4)
    assert.ok(packed.every((byte) => byte === 0x88) && scales.every((scale) => scale === 0))
  })

  it('lose less than the plainest rounding does, and with no other scale for the same levels less', () => {
    const random = new Random(7)
    const data = Float32Array.from({ length: 64 * 50 }, () => random.normal())
    const blocks = quantiseBlocks({ shape: [64, 50], data }, 4)
    const level = levelsOf(blocks, 4)
    let [ours, plain] = [0, 0]
    for (let output = 0; output < 50; output++) {
      for (let start = 0; start < 64; start += BLOCK_SIZE) {
        const inputs = Array.from({ length: BLOCK_SIZE }, (_, i) => start + i)
        const values = inputs.map((input) => data[input * 50 + output])
        const levels = inputs.map((input) => level(output, input))
        const loss = (scale: number, levels: readonly number[]) =>
          values.reduce((sum, value, i) => sum + (levels[i] * scale - value) ** 2, 0)
        const scale = blocks.scales[output * 2 + start / BLOCK_SIZE]
        for (const factor of [0.99, 1.01]) assert.ok(loss(scale, levels) <= loss(factor * scale, levels))
        ours += loss(scale, levels)
        const plainScale = Math.max(...values.map(Math.abs)) / 7
        plain += loss(
          plainScale,
          values.map((value) => Math.round(value / plainScale)),
        )
      }
    }
    assert.ok(ours < 0.95 * plain, `${ours} against ${plain}`)
  })
})
