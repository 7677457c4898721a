// The laws of decoding over random models on wasm: a modest number of cases. laws.slow.test.ts has more.
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { checkLaws } from './checkLaws.js'

describe('on wasm', () => {
  before(() => chooseBackend({ backend: 'wasm' }))
  checkLaws(createTfjsEngine, { numRuns: 16 })
})
