// All of the reference implementation's beams on wasm and, where it is built, on the native backend.
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { checkBeams } from './checkBeams.js'
import { useNative } from './useNative.js'

describe('on wasm', () => {
  before(() => chooseBackend({ backend: 'wasm' }))
  checkBeams(createTfjsEngine, { engineName: 'tfjs engine', isComplete: true })
})

describe('on the native backend', () => {
  before(useNative)
  checkBeams(createTfjsEngine, { engineName: 'tfjs engine', isComplete: true })
})
