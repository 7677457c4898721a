// Segments as TensorFlow graphs, on the native backend: the same numbers as one operation after the other gives.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { decodeOne, full } from '../../../src/decoding/index.js'
import { createTfjsEngine } from '../../../src/engines/tfjs/engine.js'
import { GraphSegments } from '../../../src/engines/tfjs/graph/graphSegments.js'
import { currentGraphRuntime } from '../../../src/engines/tfjs/graph/runtime.js'
import { readParityModel } from '../../golden/parity.js'
import { useNative } from '../../decoding/useNative.js'
import { distanceOf, passes, randomGroup, runBothWays, withWays } from './segmentPasses.js'

/** How many SavedModels TensorFlow holds for this process. */
function numLoaded(): number {
  return (tf.backend() as unknown as { getNumOfSavedModels(): number }).getNumOfSavedModels()
}

describe('segments as graphs', () => {
  before(useNative)

  for (const name of ['free-v10', 'free-v11', 'mt5', 'asymmetric']) {
    const model = readParityModel(name, 1)

    for (const [what, pass] of Object.entries(passes)) {
      it(`${name}: ${what}`, () => {
        const before = [tf.memory().numTensors, numLoaded()]
        let largest = 0
        withWays(
          model,
          { make: (own, eager) => new GraphSegments(currentGraphRuntime()!, own, eager) },
          (ways) => {
            runBothWays(ways, model.config, [randomGroup(model.config, pass)], (graph, eager) => {
              assert.equal(graph.packed === undefined, eager.packed === undefined)
              largest = Math.max(largest, distanceOf(graph, eager))
            })
          },
        )
        assert.ok(largest < 3e-6, `${largest}`)
        assert.deepEqual([tf.memory().numTensors, numLoaded()], before)
      })
    }
  }

  it('serve an engine, and go with it', async () => {
    const before = numLoaded()
    const engine = createTfjsEngine(readParityModel('free-v10', 2))
    await decodeOne(engine, [5, 9, 1], { policy: full(), maxNewTokens: 3 })
    assert.ok(numLoaded() > before)
    engine.dispose()
    assert.equal(numLoaded(), before)
  })

  describe('with a folder for temporary files', () => {
    const original = process.env.TMPDIR
    let folder: string
    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'shallowdeep-test-'))
    })
    after(() => {
      if (original === undefined) delete process.env.TMPDIR
      else process.env.TMPDIR = original
      rmSync(folder, { recursive: true })
    })
    const decode = async () => {
      const engine = createTfjsEngine(readParityModel('free-v10', 2))
      try {
        return await decodeOne(engine, [5, 9, 1], { policy: full(), maxNewTokens: 3 })
      } finally {
        engine.dispose()
      }
    }

    it('leave nothing in it', async () => {
      process.env.TMPDIR = folder
      await decode()
      assert.deepEqual(readdirSync(folder), [])
    })

    it('say so where it is not there', async () => {
      process.env.TMPDIR = join(folder, 'missing')
      assert.ok(!existsSync(process.env.TMPDIR))
      await assert.rejects(decode, {
        code: 'engine.graph-load',
        message: /could not load a graph through .*missing: ENOENT/,
      })
    })
  })
})
