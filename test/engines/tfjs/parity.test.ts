// The tfjs engine against the reference implementation, on wasm and on the native backend.
import { createTfjsEngine } from '../../../src/engines/tfjs/index.js'
import { onEachBackend } from '../../training/onEachBackend.js'
import { checkParity } from '../checkParity.js'

describe('the tfjs engine against the reference implementation', () => {
  onEachBackend(() => checkParity(createTfjsEngine))
})
