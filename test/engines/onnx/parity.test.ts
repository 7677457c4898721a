// The ONNX Runtime engine against the reference implementation.
import { checkParity } from '../checkParity.js'
import { makeOnnxEngine } from './onnxEngine.js'

describe('the ONNX Runtime engine against the reference implementation', () => {
  checkParity((model) => makeOnnxEngine(model))
})
