// All of the reference implementation's beams on the plain engine and, where it is built, on the native backend.
import { createTfjsEngine } from '../../src/engines/tfjs/index.js'
import { checkBeams } from './checkBeams.js'
import { createReferenceEngine } from './referenceEngine.js'
import { ReferenceModel } from './referenceModel.js'
import { useNative } from './useNative.js'

checkBeams(({ config, weights }) => createReferenceEngine(new ReferenceModel(config, weights)), {
  engineName: 'plain engine',
  isComplete: true,
})

describe('on the native backend', () => {
  before(useNative)
  checkBeams(createTfjsEngine, { engineName: 'tfjs engine', isComplete: true })
})
