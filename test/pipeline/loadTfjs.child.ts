// A program that knows of this project only its layers: loads model.json from a URL, as a page does, and prints the logits of
// both exits for the inputs that it is given.
import * as tf from '@tensorflow/tfjs'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { registerLayers } from '../../src/model/index.js'

const [url, encoderTokens, decoderTokens] = process.argv.slice(2)
await chooseBackend({ backend: 'wasm' })
registerLayers()
const model = await tf.loadLayersModel(url)
const inputs = [encoderTokens, decoderTokens].map((rows) =>
  tf.tensor2d(JSON.parse(rows) as number[][], undefined, 'int32'),
)
const exits = model.predict(inputs) as tf.Tensor[]
process.stdout.write(JSON.stringify(exits.map((logits) => Array.from(logits.dataSync()))))
