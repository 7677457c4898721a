// The session's verbs on tfjs.
import { chooseBackend } from '../../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../../src/engines/tfjs/index.js'
import { checkVerbs } from '../checkVerbs.js'

describe('the verbs of a session in any order, on wasm', () => {
  before(() => chooseBackend({ backend: 'wasm' }))
  checkVerbs(createTfjsEngine)
})
