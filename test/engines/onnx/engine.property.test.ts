// The session's verbs on ONNX Runtime.
import { chooseBackend } from '../../../src/engines/tfjs/backend.node.js'
import { checkVerbs } from '../checkVerbs.js'
import { makeOnnxEngine } from './onnxEngine.js'

describe('the verbs of a session in any order, on ONNX Runtime', () => {
  // What counts tensors asks a backend of tfjs.
  before(() => chooseBackend({ backend: 'wasm' }))
  checkVerbs((model) => makeOnnxEngine(model))
})
