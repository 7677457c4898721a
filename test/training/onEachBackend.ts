// The same tests on wasm and, where it is built, on the native backend (skipped with the reason otherwise).
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { useNative } from '../decoding/useNative.js'

/** Declares `tests` once for each float32 backend under Node. */
export function onEachBackend(tests: () => void): void {
  describe('on wasm', () => {
    before(() => chooseBackend({ backend: 'wasm' }))
    tests()
  })
  describe('on the native backend', () => {
    before(useNative)
    tests()
  })
}
