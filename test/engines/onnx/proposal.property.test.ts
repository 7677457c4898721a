// Proposed tokens against the float32 head they stand for: never another, ties and near-ties included.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { parseModelConfig, type HostWeight } from '../../../src/config/index.js'
import type { ExitFeature } from '../../../src/decoding/index.js'
import { ModelGraphs } from '../../../src/engines/onnx/graphs.js'
import { loadOnnxRuntime } from '../../../src/engines/onnx/index.node.js'
import { proposeTokens } from '../../../src/engines/onnx/proposal.js'
import { initialWeights } from '../../../src/model/index.js'
import { Random } from '../../../src/random.js'
import { readParityModel } from '../../golden/parity.js'
import { makeOnnxEngine } from './onnxEngine.js'

const NUM_STATES = 40

const heads = fc.record({
  vocabSize: fc.integer({ min: 20, max: 300 }),
  dModel: fc.constantFrom(24, 32, 70, 192),
  tieEmbeddings: fc.boolean(),
  scaleLogits: fc.boolean(),
  // Of what a token's rival differs from it: nothing, a last bit, less than 8 bits tell, more.
  difference: fc.constantFrom(0, 1e-7, 1e-5, 1e-3, 0.1),
  // Tokens alike: more than are proposed, or fewer.
  numAlike: fc.constantFrom(2, 40),
  noise: fc.constantFrom(0.01, 0.3, 1, 3),
  seed: fc.nat(),
})

type Head = typeof heads extends fc.Arbitrary<infer T> ? T : never

/** Graphs of a model with a random head, groups of tokens nearly alike, and states near tokens of the head. */
async function drawn({
  vocabSize,
  dModel,
  tieEmbeddings,
  scaleLogits,
  difference,
  numAlike,
  noise,
  seed,
}: Head) {
  const random = new Random(seed)
  const rows = Array.from({ length: vocabSize }, () =>
    Float32Array.from({ length: dModel }, () => random.normal()),
  )
  for (let v = 0; v < vocabSize; v++) {
    if (v % numAlike > 0)
      rows[v] = rows[v - (v % numAlike)].map((x) => x * (1 + difference * random.normal()))
  }
  const head: HostWeight = { shape: [dModel, vocabSize], data: new Float32Array(dModel * vocabSize) }
  const embedding: HostWeight = { shape: [vocabSize, dModel], data: new Float32Array(dModel * vocabSize) }
  rows.forEach((row, v) => {
    embedding.data.set(row, v * dModel)
    row.forEach((x, d) => (head.data[d * vocabSize + v] = x))
  })
  const norm = {
    shape: [dModel],
    data: Float32Array.from({ length: dModel }, () => 0.6 + 0.8 * random.uniform()),
  }
  const states = new Float32Array(NUM_STATES * dModel)
  for (let n = 0; n < NUM_STATES; n++) {
    const row = rows[random.integer(vocabSize)]
    for (let d = 0; d < dModel; d++) states[n * dModel + d] = row[d] / norm.data[d] + noise * random.normal()
  }
  const config = { ...readParityModel('v11').config, vocabSize, dModel, tieEmbeddings, scaleLogits }
  const weights = new Map([
    ['embedding', embedding],
    ['head', head],
    ['decoder.finalNorm', norm],
  ])
  const runtime = await loadOnnxRuntime()
  const graphs = new ModelGraphs(
    { config, weights },
    { runtime, writesInPlace: true },
    { intraOpNumThreads: 1 },
  )
  return { graphs, states, dModel }
}

async function plainBest(graphs: ModelGraphs, states: Float32Array, dModel: number): Promise<number[]> {
  const exit = await graphs.exit()
  const feeds = { states: graphs.tensor(states, [states.length / dModel, dModel]) }
  const best = Array.from((await exit.run(feeds, { best: null })).best.data as BigInt64Array, Number)
  return best.filter((_, i) => i % 2 === 0)
}

/** Heads whose winners are clear, of which random ones are few. */
const CLEAR: readonly [Head][] = [1, 2, 3, 4].map((seed) => [
  {
    ...{
      vocabSize: 300,
      dModel: seed % 2 > 0 ? 70 : 192,
      tieEmbeddings: seed > 2,
      scaleLogits: seed % 2 > 0,
    },
    ...{ difference: 0.1, numAlike: 2, noise: 0.3, seed },
  },
])

describe('proposed tokens', () => {
  it('are what the float32 head chooses, wherever one is proven; with clear winners all are', async () => {
    let [numClear, numProven] = [0, 0]
    await fc.assert(
      fc.asyncProperty(heads, async (head) => {
        const { graphs, states, dModel } = await drawn(head)
        const [proposed, plain] = [
          await proposeTokens(graphs, states),
          await plainBest(graphs, states, dModel),
        ]
        for (const [n, token] of proposed.entries()) {
          if (token !== undefined) assert.equal(token, plain[n], `state ${n}`)
        }
        const isClear =
          head.difference === 0.1 && head.numAlike === 2 && head.noise <= 0.3 && head.dModel >= 70
        if (isClear) numClear += NUM_STATES
        if (isClear) numProven += proposed.filter((token) => token !== undefined).length
        await graphs.dispose()
      }),
      { numRuns: 64, examples: [...CLEAR] },
    )
    assert.ok(
      numClear >= CLEAR.length * NUM_STATES && numProven >= 0.9 * numClear,
      `${numProven} of ${numClear}`,
    )
  }).timeout(60_000)

  it('are none where a state or the head is not a number', async () => {
    const head: Head = {
      vocabSize: 40,
      dModel: 32,
      tieEmbeddings: true,
      scaleLogits: false,
      difference: 0.1,
      numAlike: 2,
      noise: 0.3,
      seed: 1,
    }
    const { graphs, states } = await drawn(head)
    states[5] = NaN
    const proposed = await proposeTokens(graphs, states)
    assert.equal(proposed[0], undefined)
    assert.ok(proposed.slice(1).some((token) => token !== undefined))
    await graphs.dispose()
  })

  it('of an engine with a large vocabulary are what it chooses where it tells more', async () => {
    const { config } = readParityModel('v11')
    const large = parseModelConfig({ ...config, vocabSize: 16_000, tieEmbeddings: true }, 'large')
    const engine = await makeOnnxEngine({ config: large, weights: initialWeights(large, 1) })
    const encoded = await engine.encode([[5, 9, 1]])
    const tokensOf = async (exit: readonly ExitFeature[]) => {
      const session = encoded.open({ exits: [large.shallowLayers, large.decoderLayers] })
      const tokens: number[] = []
      // More than it takes to see whether proposals are worthwhile.
      for (let i = 0; i < 40; i++) {
        session.push(0, i)
        for (const segment of [0, 1]) {
          tokens.push(...(await session.run({ segment, rows: [0], exit }))[0].map(({ token }) => token))
        }
      }
      session.dispose()
      return tokens
    }
    assert.deepEqual(await tokensOf([]), await tokensOf(['probabilities']))
    encoded.dispose()
    engine.dispose()
  })
})
