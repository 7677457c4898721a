// The laws of decoding and all traces on the ONNX Runtime engine, over many random models; with quantised matrices those
// that hold for them to the last bit.
import { checkLaws } from '../../decoding/checkLaws.js'
import { allFolders, checkTraces } from '../../decoding/checkTraces.js'
import { chooseBackend } from '../../../src/engines/tfjs/backend.node.js'
import { makeOnnxEngine } from './onnxEngine.js'

describe('on ONNX Runtime', () => {
  // The uncached passes to compare with are tfjs's.
  before(() => chooseBackend({ backend: 'wasm' }))
  checkLaws((model) => makeOnnxEngine(model), { numRuns: 300 })
  checkTraces('onnx engine', (model) => makeOnnxEngine(model), { folders: allFolders, isComplete: true })
})

describe('on ONNX Runtime in 4 bits', () => {
  checkLaws((model) => makeOnnxEngine(model, { dtype: 'q4' }), { numRuns: 200, only: [1, 5] })
})
