// Run as a child by threads.test.ts: products by several threads, beside those by one; prints what came of them, and ends by
// itself, though the other threads never do.
import * as tf from '@tensorflow/tfjs'
import { chooseBackend } from '../../../../src/engines/tfjs/backend.node.js'
import { attend, attentionBytes, NO_BIAS } from '../../../../src/engines/tfjs/wasm/attention.js'
import { currentKernels } from '../../../../src/engines/tfjs/wasm/kernels.js'
import { PackedMatrix } from '../../../../src/engines/tfjs/wasm/packedMatrix.js'
import { QuantisedMatrix } from '../../../../src/engines/tfjs/wasm/quantisedMatrix.js'
import { QuantisedRows } from '../../../../src/engines/tfjs/wasm/quantisedRows.js'
import { Random } from '../../../../src/random.js'

const [sizes, ...counts] = process.argv.slice(2)
const [numThreads, numProducts, pauses] = counts.map(Number)
await chooseBackend({ backend: 'wasm', threads: numThreads })
const kernels = currentKernels()!
const { help } = kernels
let numStarted = 0
const counted = {
  numThreads,
  start: (...task: Parameters<NonNullable<typeof help>['start']>) => {
    numStarted++
    help!.start(...task)
  },
}
const random = new Random(1)
const normal = (...shape: [number, number]): tf.Tensor2D =>
  tf.tensor2d(
    Float32Array.from({ length: shape[0] * shape[1] }, () => random.normal()),
    shape,
  )
const large = [
  [192, 576],
  [448, 192],
  [512, 700],
]
const small = [
  [64, 40],
  [64, 256],
]
const rows8 = new QuantisedRows(kernels)
const matrices = (sizes === 'small' ? small : [...large, ...small]).flatMap(([depth, width]) => {
  const weight = { shape: [depth, width], data: normal(depth, width).dataSync() as Float32Array }
  return [new PackedMatrix(kernels, weight), new QuantisedMatrix(kernels, rows8, weight)]
})
const [numHeads, headWidth, length] = [8, 32, sizes === 'small' ? 20 : 300]
const room = kernels.allocate(attentionBytes(numHeads, length))
const keyValue = normal(2, numHeads * length * headWidth)

/** What a few positions' queries get of a memory. */
function attention(queries: tf.Tensor2D): Float32Array {
  const numPositions = queries.shape[0]
  const attended = tf.zerosLike(queries)
  const at = kernels.at(keyValue)
  const rows = (x: tf.Tensor) => ({ at: kernels.at(x), stride: numHeads * headWidth })
  attend(
    kernels,
    { batch: 1, numHeads, headWidth, numPositions },
    {
      ...{ queries: rows(queries), attended: rows(attended), bias: NO_BIAS, room },
      memory: { key: at, value: at + 2 * keyValue.size, rowStride: 0, length },
    },
  )
  return attended.dataSync() as Float32Array
}

let numDifferent = 0
for (let i = 0; i < numProducts; i++) {
  const matrix = matrices[i % matrices.length]
  const x = normal(1 + random.integer(5), matrix.shape[0])
  tf.tidy(() => {
    kernels.help = undefined
    const alone = matrix.multiply(x).dataSync()
    kernels.help = counted
    const together = matrix.multiply(x).dataSync()
    if (alone.some((value, at) => !Object.is(value, together[at]))) numDifferent++
    if (i % 4 > 0) return
    const queries = normal(1 + random.integer(3), numHeads * headWidth)
    kernels.help = undefined
    const attended = attention(queries)
    kernels.help = counted
    const attendedTogether = attention(queries)
    if (attended.some((value, at) => !Object.is(value, attendedTogether[at]))) numDifferent++
  })
  x.dispose()
  // Long enough for the others to fall asleep now and then.
  if (pauses > 0 && i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, pauses))
}
console.log(JSON.stringify({ numStarted, numDifferent }))
