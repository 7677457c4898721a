// The laws of decoding, the reference implementation's early-exit traces and its beams on the ONNX Runtime engine: a modest
// number of cases. laws.slow.test.ts has more.
import { chooseBackend } from '../../../src/engines/tfjs/backend.node.js'
import { checkBeams } from '../../decoding/checkBeams.js'
import { checkLaws } from '../../decoding/checkLaws.js'
import { allFolders, checkTraces } from '../../decoding/checkTraces.js'
import { makeOnnxEngine } from './onnxEngine.js'

describe('on ONNX Runtime', () => {
  // The uncached passes to compare with are tfjs's.
  before(() => chooseBackend({ backend: 'wasm' }))
  checkLaws((model) => makeOnnxEngine(model), { numRuns: 12 })
  checkTraces('onnx engine', (model) => makeOnnxEngine(model), { folders: allFolders, isComplete: false })
  checkBeams((model) => makeOnnxEngine(model), { engineName: 'onnx engine', isComplete: true })
})

describe('on ONNX Runtime in 8 bits', () => {
  checkLaws((model) => makeOnnxEngine(model, { dtype: 'int8' }), { numRuns: 9, only: [1, 5] })
})
