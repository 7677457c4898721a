// The reference implementation's early-exit traces, by the loop over the plain engine and over tfjs on wasm.
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { allFolders, checkTraces } from './checkTraces.js'
import { createReferenceEngine } from './referenceEngine.js'
import { ReferenceModel } from './referenceModel.js'

checkTraces(
  'plain engine',
  ({ config, weights }) => createReferenceEngine(new ReferenceModel(config, weights)),
  { folders: allFolders.slice(0, 1), isComplete: true },
)

describe('on wasm', () => {
  before(() => chooseBackend({ backend: 'wasm' }))
  checkTraces('tfjs engine', createTfjsEngine, { folders: allFolders, isComplete: false })
})
