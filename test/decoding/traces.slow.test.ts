// All traces under every policy on wasm, and most of them on the native backend where it is built.
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { allFolders, checkTraces } from './checkTraces.js'
import { useNative } from './useNative.js'

describe('on wasm', () => {
  before(() => chooseBackend({ backend: 'wasm' }))
  checkTraces('tfjs engine', createTfjsEngine, { folders: allFolders, isComplete: true })
})

describe('on the native backend', () => {
  before(useNative)
  checkTraces('tfjs engine', createTfjsEngine, { folders: allFolders, isComplete: false })
})
