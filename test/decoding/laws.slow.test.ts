// The laws of decoding over many random models, on wasm and on the native backend where it is built.
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { checkLaws } from './checkLaws.js'
import { useNative } from './useNative.js'

describe('on wasm', () => {
  before(() => chooseBackend({ backend: 'wasm' }))
  checkLaws(createTfjsEngine, { numRuns: 300 })
})

describe('on the native backend', () => {
  before(useNative)
  checkLaws(createTfjsEngine, { numRuns: 60 })
})
