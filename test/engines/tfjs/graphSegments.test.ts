// Segments as TensorFlow graphs, on the native backend: the same numbers as one operation after the other gives.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs'
import { decodeOne, full } from '../../../src/decoding/index.js'
import { uploadWeights } from '../../../src/engines/tfjs/decoderWeights.js'
import { createTfjsEngine } from '../../../src/engines/tfjs/engine.js'
import { chooseInGraph } from '../../../src/engines/tfjs/exitChoice.js'
import { GraphSegments } from '../../../src/engines/tfjs/graph/graphSegments.js'
import { currentGraphRuntime } from '../../../src/engines/tfjs/graph/runtime.js'
import { PositionBias } from '../../../src/engines/tfjs/positionBias.js'
import { EagerSegments } from '../../../src/engines/tfjs/segments.js'
import type { SegmentGroup, SegmentInput, SegmentOutput } from '../../../src/engines/tfjs/segments.js'
import { readParityModel } from '../../golden/parity.js'
import { useNative } from '../../decoding/useNative.js'

/** Largest difference of two tensors, of one shape, over the largest magnitude in either, or over 1. */
function distance(actual: tf.Tensor, expected: tf.Tensor): number {
  assert.deepEqual(actual.shape, expected.shape)
  const [a, b] = [actual.dataSync(), expected.dataSync()]
  assert.ok(a.every(Number.isFinite))
  const most = Math.max(1, ...Array.from(b, Math.abs))
  return Math.max(...Array.from(a, (x, i) => Math.abs(x - b[i]))) / most
}

/** How many SavedModels TensorFlow holds for this process. */
function numLoaded(): number {
  return (tf.backend() as unknown as { getNumOfSavedModels(): number }).getNumOfSavedModels()
}

interface Pass {
  readonly rows: number
  readonly positions: number
  readonly past: number
  /** Rows share one source, or have one each. */
  readonly memories: 'shared' | 'own'
  readonly isMasked: boolean
}

const passes: Record<string, Pass> = {
  'a first position': { rows: 1, positions: 1, past: 0, memories: 'shared', isMasked: false },
  'a later one': { rows: 1, positions: 1, past: 7, memories: 'shared', isMasked: true },
  'several at once': { rows: 1, positions: 5, past: 4, memories: 'shared', isMasked: true },
  'rows of one source': { rows: 4, positions: 1, past: 3, memories: 'shared', isMasked: false },
  'rows of their own sources, several positions': {
    rows: 3,
    positions: 2,
    past: 3,
    memories: 'own',
    isMasked: true,
  },
}

describe('segments as graphs', () => {
  before(useNative)

  for (const name of ['free-v10', 'free-v11', 'mt5', 'asymmetric']) {
    const { config, weights: host } = readParityModel(name, 1)
    const { numHeads, dModel, dKv, decoderLayers, layerNormEpsilon: epsilon } = config
    const shape = { numHeads, gated: config.feedForward === 'gated-gelu', epsilon }

    /** The pass by both ways, its tensors disposed after `check`. */
    const compare = (pass: Pass, check: (graph: SegmentOutput, eager: SegmentOutput) => void): void => {
      const weights = uploadWeights(config, host)
      const bias = new PositionBias(weights.decoder.relativeBias, {
        numBuckets: config.relativeBuckets,
        maxDistance: config.relativeMaxDistance,
        bidirectional: false,
      })
      const eager = new EagerSegments(weights, bias, shape)
      const graphs = new GraphSegments(currentGraphRuntime()!, { weights, bias, shape }, eager)
      tf.tidy(() => {
        let seed = 1
        const random = <T extends tf.Tensor>(...sizes: number[]): T =>
          tf.reshape<tf.Rank>(
            tf.randomNormal([tf.util.sizeFromShape(sizes)], 0, 1, 'float32', seed++),
            sizes,
          ) as T
        const heads = (batch: number, length: number) => random<tf.Tensor4D>(batch, numHeads, length, dKv)
        const { rows, positions, past, memories, isMasked } = pass
        const batch = memories === 'own' ? rows : 1
        const mask = tf.tensor([0, 0, 0, 0, -1e9, -1e9], [1, 1, 1, 6]) as tf.Tensor4D
        const layers = Array.from({ length: decoderLayers }, () => ({
          past: past === 0 ? undefined : { key: heads(rows, past), value: heads(rows, past) },
          memory: { key: heads(batch, 6), value: heads(batch, 6) },
        }))
        const group = (from: number): SegmentGroup => ({
          batch: rows,
          numPositions: positions,
          first: past,
          past: (layer) => layers[from + layer].past,
          memory: { bias: isMasked ? mask : undefined, at: (layer) => layers[layer].memory },
        })
        for (const [from, to] of [
          [0, 1],
          [1, decoderLayers],
        ]) {
          for (const exit of [
            undefined,
            { choice: undefined },
            { choice: 'token' },
            { choice: 'probabilities' },
          ] as const) {
            const hidden = random<tf.Tensor2D>(rows * positions, dModel)
            const input: SegmentInput = { from, to, hidden, groups: [group(from)], exit }
            const expected = eager.run(input)
            const features = exit?.choice === 'probabilities' ? ['probabilities' as const] : []
            const packed =
              exit?.choice &&
              chooseInGraph(expected.logits!, { features, numCandidates: 1, unmasked: expected.logits! })
                .packed
            check(graphs.run(input), { ...expected, packed })
          }
        }
      })
      graphs.dispose()
      bias.dispose()
      weights.dispose()
    }

    for (const [what, pass] of Object.entries(passes)) {
      it(`${name}: ${what}`, () => {
        const before = [tf.memory().numTensors, numLoaded()]
        let largest = 0
        compare(pass, (graph, eager) => {
          assert.equal(graph.logits === undefined, eager.logits === undefined)
          assert.deepEqual(
            graph.present.map((groups) => groups.length),
            eager.present.map((groups) => groups.length),
          )
          const pairs: (readonly [tf.Tensor, tf.Tensor])[] = [[graph.hidden, eager.hidden]]
          assert.equal(graph.packed === undefined, eager.packed === undefined)
          if (eager.packed) pairs.push([graph.packed!, eager.packed])
          if (eager.logits) pairs.push([graph.logits!, eager.logits])
          for (const [layer, [{ key, value }]] of eager.present.entries()) {
            const [own] = graph.present[layer]
            pairs.push([own.key, key], [own.value, value])
          }
          for (const [actual, expected] of pairs) largest = Math.max(largest, distance(actual, expected))
        })
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
