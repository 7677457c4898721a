// The laws of decoding over many random models, on wasm and on the native backend where it is built.
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { checkLaws } from './checkLaws.js'
import { useNative } from './useNative.js'

describe('on wasm', () => {
  before(() => chooseBackend({ backend: 'wasm' }))
  checkLaws({ numRuns: 300 })
})

describe('on the native backend', () => {
  before(useNative)
  checkLaws({ numRuns: 60 })
})
