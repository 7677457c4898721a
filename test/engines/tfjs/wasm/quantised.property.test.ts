// The laws of decoding in 8 bits on wasm, those that hold an engine to itself.
import { checkLaws } from '../../../decoding/checkLaws.js'
import { chooseBackend } from '../../../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../../../src/engines/tfjs/index.js'
import { kernelsFor } from '../../../../src/engines/tfjs/wasm/wasmSegments.js'

describe('in 8 bits on wasm', () => {
  before(() => chooseBackend({ backend: 'wasm' }))
  checkLaws(
    // Some of the random models have heads that the kernels are not for.
    (model) => createTfjsEngine({ ...model, dtype: kernelsFor(model.config) ? 'int8' : 'float32' }),
    { numRuns: 16, only: [1, 2, 5, 6] },
  )
})
