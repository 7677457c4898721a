// Run as a child by setup.ts: loads the native build in the folder named by the argument, through the project's own
// loader, and checks a matrix product. Prints one JSON line; a build that crashes takes only this process with it.
import * as tf from '@tensorflow/tfjs'
import { NATIVE_TFJS_NAME, loadNative, readBuild } from '../../src/engines/tfjs/native.node.js'

const folder = process.argv[2]
const build = readBuild(folder)
if (build === null) throw new Error(`${folder} holds no finished build`)
const native = loadNative(build)
await tf.setBackend(NATIVE_TFJS_NAME)
// [[1, 2], [3, 4]] squared, exact in float32.
const product = tf.tidy(() => {
  const matrix = tf.tensor2d([1, 2, 3, 4], [2, 2])
  return Array.from(tf.matMul(matrix, matrix).dataSync())
})
const isRight = tf.getBackend() === NATIVE_TFJS_NAME && product.join() === '7,10,15,22'
console.log(
  JSON.stringify({ isRight, product, tensorflow: native.tensorflow, isUsingGpu: native.isUsingGpu }),
)
