// The tfjs engine on wasm: its caches against one pass, its choices, its errors, and its memory. Its exits against the
// reference implementation: parity.test.ts.
import assert from 'node:assert/strict'
import * as tf from '@tensorflow/tfjs'
import type { DecoderEngine, DecoderSession, ExitFeature } from '../../../src/decoding/index.js'
import { chooseBackend } from '../../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../../src/engines/tfjs/index.js'
import type { TfjsSession } from '../../../src/engines/tfjs/session.js'
import { buildModel } from '../../../src/model/index.js'
import type { HostWeight } from '../../../src/model/index.js'
import { Random } from '../../../src/random.js'
import { readParityModel } from '../../golden/parity.js'
import { softmax } from '../../decoding/referenceModel.js'

/** 1e-4 + 1e-4 |x|, the vectors' own bound for float32. */
function assertClose(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  assert.equal(actual.length, expected.length, what)
  for (let i = 0; i < expected.length; i++) {
    const isClose = Math.abs(actual[i] - expected[i]) <= 1e-4 + 1e-4 * Math.abs(expected[i])
    if (!isClose) assert.fail(`${what} ${i}: ${actual[i]}, not ${expected[i]}`)
  }
}

/** Opens a session over one source, and frees all of it. */
async function withSession<T>(
  engine: DecoderEngine,
  exits: readonly number[],
  use: (session: DecoderSession) => Promise<T>,
  source: readonly number[] = [5, 9, 1],
): Promise<T> {
  const encoded = await engine.encode([source])
  const session = encoded.open({ exits })
  try {
    return await use(session)
  } finally {
    session.dispose()
    encoded.dispose()
  }
}

describe('the tfjs engine', () => {
  before(() => chooseBackend({ backend: 'wasm' }))

  describe('on free-v11', () => {
    const { config, weights } = readParityModel('free-v11', 2)
    let engine: DecoderEngine
    before(() => {
      engine = createTfjsEngine({ config, weights })
    })
    after(() => engine.dispose())

    it('says what it is', () => {
      assert.deepEqual(engine.info, {
        engine: 'tfjs',
        backend: 'wasm',
        dtype: 'float32',
        threads: 1,
        shallowLayers: 2,
        decoderLayers: 5,
        vocabSize: 300,
        hasConfidenceHead: false,
        decoderStartId: 0,
        eosId: 1,
      })
    })

    it('caches after flushes and truncations equal those of one pass', async () => {
      const tokens = [0, 44, 7, 120, 9, 9, 250, 13, 77]
      const cachesOf = (session: DecoderSession) =>
        (session as TfjsSession)['caches'].map((cache) =>
          cache.past([0])!.map((states) => Array.from(states.dataSync())),
        )
      const expected = await withSession(engine, [2, 5], async (session) => {
        for (const token of tokens) session.push(0, token)
        for (const segment of [0, 1]) await session.run({ segment, rows: [0] })
        return cachesOf(session)
      })
      const actual = await withSession(engine, [2, 5], async (session) => {
        for (const [position, token] of tokens.entries()) {
          session.push(0, token)
          await session.run({ segment: 0, rows: [0] })
          if (position === 3) await session.run({ segment: 1, rows: [0] })
          if (position === 5) {
            for (const wrong of [201, 202]) session.push(0, wrong)
            await session.run({ segment: 0, rows: [0] })
            await session.run({ segment: 1, rows: [0] })
            session.truncate(0, 6)
          }
        }
        await session.run({ segment: 1, rows: [0] })
        return cachesOf(session)
      })
      assert.deepEqual(
        actual.flat().map((kept) => kept.length),
        // Keys and values of 2 and of 3 layers.
        [2, 3].map((numLayers) => 2 * numLayers * config.numHeads * tokens.length * config.dKv),
      )
      for (const [segment, kept] of expected.entries()) {
        for (const [i, states] of kept.entries()) assertClose(actual[segment][i], states, `${segment} ${i}`)
      }
    })

    it('positions and passes may grow beyond what the bias was first made for', async () => {
      const tokens = Array.from({ length: 150 }, (_, i) => (i * 37) % 300)
      const model = buildModel(config, weights)
      const expected = tf.tidy(() => {
        const inputs = [[5, 9, 1], tokens].map((row) => tf.tensor2d(row, [1, row.length], 'int32'))
        return (model.layersModel.predict(inputs) as tf.Tensor3D[])[1].dataSync()
      })
      model.dispose()
      const logits = await withSession(engine, [2, 5], async (session) => {
        const all: number[] = []
        for (const [position, token] of tokens.entries()) {
          session.push(0, token)
          // Passes of 1, 2, 3, ... positions.
          if (!Number.isInteger((Math.sqrt(8 * (position + 1) + 1) - 1) / 2) && position < 149) continue
          await session.run({ segment: 0, rows: [0] })
          const [choices] = await session.run({ segment: 1, rows: [0], exit: ['logits'] })
          for (const choice of choices) all.push(...choice.logits!)
        }
        return all
      })
      assertClose(logits, expected, 'logits')
    })

    it('a choice has what was asked for, and the same token whatever that is', async () => {
      const requests: (readonly ExitFeature[])[] = [
        [],
        ['probabilities'],
        ['entropy'],
        ['logits', 'entropy', 'probabilities'],
      ]
      const choices = await Promise.all(
        requests.map((exit) =>
          withSession(engine, [2, 5], async (session) => {
            session.push(0, 0)
            session.push(0, 17)
            const [[, choice]] = await session.run({ segment: 0, rows: [0], exit })
            return choice
          }),
        ),
      )
      assert.deepEqual(
        choices.map((choice) => Object.keys(choice)),
        [
          ['token'],
          ['token', 'top1', 'top2'],
          ['token', 'entropy'],
          ['token', 'top1', 'top2', 'entropy', 'logits'],
        ],
      )
      const { logits, token, top1, top2, entropy } = choices[3]
      assert.deepEqual(
        choices.map((choice) => choice.token),
        [token, token, token, token],
      )
      const probabilities = softmax(logits!)
      const [first, second] = probabilities.toSorted((a, b) => b - a)
      assert.equal(token, probabilities.indexOf(first))
      const expectedEntropy = -probabilities.reduce((sum, p) => sum + p * Math.log(p), 0)
      assertClose([top1!, top2!, entropy!], [first, second, expectedEntropy], 'choice')
      assertClose([choices[1].top1!, choices[2].entropy!], [first, expectedEntropy], 'alone')
    })

    it('tells what a confidence head says of the shallow state, beside whatever else is asked', async () => {
      const headed = { ...config, confidenceHead: true }
      const random = new Random(3)
      const draw = (...shape: number[]): HostWeight => {
        const size = shape.reduce((product, n) => product * n, 1)
        return { shape, data: Float32Array.from({ length: size }, () => random.normal()) }
      }
      const [matrix, offset] = [draw(config.dModel, 2), draw(2)]
      const more = [
        ['confidenceHead.weight', matrix],
        ['confidenceHead.bias', offset],
      ] as const
      const all = new Map<string, HostWeight>([...weights, ...more])
      const tokens = [0, 17, 60]
      const model = buildModel(headed, all)
      const states = tf.tidy(() => {
        const inputs = [[5, 9, 1], tokens].map((row) => tf.tensor2d(row, [1, row.length], 'int32'))
        // The first output is the encoder's.
        return (model.statesModel.predict(inputs) as tf.Tensor3D[])[config.shallowLayers].arraySync()[0]
      })
      model.dispose()
      const { data: norm } = weights.get('decoder.finalNorm')!
      const expected = states.map((state) => {
        const scale = (state.reduce((sum, x) => sum + x * x, 0) / state.length + 1e-6) ** -0.5
        const [disagree, agree] = [0, 1].map((column) =>
          state.reduce(
            (sum, x, d) => sum + x * scale * norm[d] * matrix.data[2 * d + column],
            offset.data[column],
          ),
        )
        return 1 / (1 + Math.exp(disagree - agree))
      })
      const withHead = createTfjsEngine({ config: headed, weights: all })
      assert.equal(withHead.info.hasConfidenceHead, true)
      for (const others of [[], ['probabilities'], ['candidates', 'logits']] satisfies ExitFeature[][]) {
        const ask = (from: DecoderEngine, exit: readonly ExitFeature[]) =>
          withSession(from, [2, 5], async (session) => {
            for (const token of tokens) session.push(0, token)
            return (await session.run({ segment: 0, rows: [0], exit }))[0]
          })
        const choices = await ask(withHead, ['agreement', ...others])
        assertClose(
          choices.map(({ agreement }) => agreement!),
          expected,
          'agreement',
        )
        const plain = choices.map(({ agreement: _, ...rest }) => rest)
        assert.deepEqual(plain, await ask(engine, others))
      }
      withHead.dispose()
      const asked = withSession(engine, [2, 5], async (session) => {
        session.push(0, 0)
        await session.run({ segment: 0, rows: [0], exit: ['agreement'] })
      })
      await assert.rejects(asked, { code: 'engine.no-confidence-head' })
    })

    it('forbidden tokens are not chosen, and have no probability', async () => {
      const choose = async (forbidden?: (row: number, position: number) => readonly number[]) => {
        const encoded = await engine.encode([[8, 1]])
        const session = encoded.open({ exits: [5], forbidden })
        const choices = []
        for (const token of [0, 60, 61]) {
          session.push(0, token)
          const exit = ['probabilities', 'entropy', 'logits'] as const
          choices.push(...(await session.run({ segment: 0, rows: [0], exit }))[0])
        }
        session.dispose()
        encoded.dispose()
        return choices
      }
      const free = await choose()
      const banned = free[1].token
      const choices = await choose((row, position) => (row === 0 && position === 1 ? [banned] : []))
      assert.deepEqual([choices[0], choices[2]], [free[0], free[2]])
      const rest = Array.from(free[1].logits!)
      rest[banned] = -Infinity
      const probabilities = softmax(rest)
      const [top1, top2] = probabilities.toSorted((a, b) => b - a)
      assert.equal(choices[1].token, probabilities.indexOf(top1))
      const entropy = -probabilities.reduce((sum, p) => sum + (p > 0 ? p * Math.log(p) : 0), 0)
      assertClose([choices[1].top1!, choices[1].top2!, choices[1].entropy!], [top1, top2, entropy], 'rest')
    })

    it('rows of other sources, lengths and stacks in the same passes do not change a bit of what a row answers', async () => {
      const sources = [3, 20, 9, 40].map((length, row) =>
        Array.from({ length }, (_, i) => (i === length - 1 ? 1 : 2 + ((i * 31 + row * 7) % 290))),
      )
      // By row and turn: the tokens put in, whether the deep segment is run, and how many positions then stay.
      const turns = [
        [
          { tokens: [0] },
          { tokens: [4], isDeep: true },
          { tokens: [9, 8], isDeep: true, stays: 3 },
          { tokens: [7] },
        ],
        [
          { tokens: [0], isDeep: true },
          { tokens: [5] },
          { tokens: [6, 7, 8], isDeep: true },
          { tokens: [3] },
        ],
        [
          { tokens: [0] },
          { tokens: [4], isDeep: true },
          { tokens: [9, 8], isDeep: true },
          { tokens: [7], isDeep: true },
        ],
        [
          { tokens: [0] },
          { tokens: [4], isDeep: true },
          { tokens: [9, 8], isDeep: true, stays: 2 },
          { tokens: [] },
        ],
      ] satisfies { tokens: number[]; isDeep?: boolean; stays?: number }[][]
      const answersOf = async (rows: readonly number[]) => {
        const encoded = await engine.encode(rows.map((row) => sources[row]))
        const session = encoded.open({ exits: [2, 5] })
        const answers: Float32Array[][] = rows.map(() => [])
        for (let turn = 0; turn < 4; turn++) {
          const now = rows.map(
            (row): { tokens: number[]; isDeep?: boolean; stays?: number } => turns[row][turn],
          )
          for (const [i, { tokens }] of now.entries()) for (const token of tokens) session.push(i, token)
          const asked = [now.map((_, i) => i), now.flatMap(({ isDeep }, i) => (isDeep ? [i] : []))]
          for (const [segment, some] of asked.entries()) {
            const choices = await session.run({ segment, rows: some, exit: ['logits'] })
            for (const [j, i] of some.entries()) answers[i].push(...choices[j].map(({ logits }) => logits!))
          }
          for (const [i, { stays }] of now.entries()) if (stays !== undefined) session.truncate(i, stays)
        }
        session.dispose()
        encoded.dispose()
        return answers
      }
      const before = tf.memory().numTensors
      const together = await answersOf([0, 1, 2, 3])
      for (const row of [0, 1, 2, 3]) assert.deepEqual([together[row]], await answersOf([row]), `row ${row}`)
      assert.equal(tf.memory().numTensors, before)
    })

    it('rows in step cost few more operations than one', async () => {
      const costOf = async (numRows: number) => {
        const encoded = await engine.encode(Array.from({ length: numRows }, (_, row) => [5, 6 + row, 1]))
        const session = encoded.open({ exits: [5] })
        const rows = Array.from({ length: numRows }, (_, row) => row)
        const step = async () => {
          for (const row of rows) session.push(row, 0)
          await session.run({ segment: 0, rows, exit: [] })
        }
        await step()
        const { kernels } = await tf.profile(async () => {
          await step()
          return []
        })
        session.dispose()
        encoded.dispose()
        return kernels.length
      }
      const [one, eight] = [await costOf(1), await costOf(8)]
      // A clone for each token that is put in, and one more that joins them.
      assert.ok(eight <= one + 8, `${eight} operations for eight rows, ${one} for one`)
    })

    it('rejects sources it cannot encode', async () => {
      await assert.rejects(engine.encode([[5, 1], []]), { code: 'engine.empty-source' })
      for (const token of [300, -1, 1.5, NaN]) {
        await assert.rejects(engine.encode([[token, 1]]), { code: 'engine.token-out-of-range' })
      }
    })

    it('rejects with the reason when aborted, and keeps nothing', async () => {
      const before = tf.memory().numTensors
      const reason = new Error('enough')
      await assert.rejects(
        engine.encode([[5, 1]], { signal: AbortSignal.abort(reason) }),
        (e) => e === reason,
      )
      const controller = new AbortController()
      const encoding = engine.encode(
        [
          [5, 1],
          [6, 1],
        ],
        { signal: controller.signal },
      )
      controller.abort(reason)
      await assert.rejects(encoding, (e) => e === reason)
      assert.equal(tf.memory().numTensors, before)
    })

    it('a pass that is aborted while its promise is open rejects, whatever it is asked, and what it computed stays', async () => {
      const encoded = await engine.encode([[5, 1]])
      const session = encoded.open({ exits: [engine.info.decoderLayers] })
      const reason = new Error('enough')
      for (const exit of [undefined, [], ['probabilities'], ['entropy'], ['logits']] as const) {
        session.push(0, 2)
        const controller = new AbortController()
        const running = session.run({ segment: 0, rows: [0], exit, signal: controller.signal })
        controller.abort(reason)
        await assert.rejects(running, (e) => e === reason)
        assert.deepEqual(await session.run({ segment: 0, rows: [0], exit: [] }), [[]])
      }
      session.dispose()
      encoded.dispose()
    })

    it('a pass that throws leaves the session as it was', async () => {
      let isBroken = true
      const encoded = await engine.encode([[5, 1]])
      const before = tf.memory().numTensors
      const session = encoded.open({
        exits: [2, 5],
        forbidden: () => {
          if (isBroken) throw new Error('on purpose')
          return []
        },
      })
      session.push(0, 0)
      session.push(0, 42)
      const request = { segment: 0, rows: [0], exit: ['logits'] } as const
      await assert.rejects(session.run(request), /on purpose/)
      isBroken = false
      const [choices] = await session.run(request)
      assert.equal(choices.length, 2)
      await withSession(
        engine,
        [2, 5],
        async (fresh) => {
          fresh.push(0, 0)
          fresh.push(0, 42)
          assert.deepEqual(choices, (await fresh.run(request))[0])
        },
        [5, 1],
      )
      session.dispose()
      assert.equal(tf.memory().numTensors, before)
      encoded.dispose()
    })

    it('one encoding serves several sessions', async () => {
      const encoded = await engine.encode([[5, 9, 1]])
      const tokens: number[] = []
      for (let i = 0; i < 2; i++) {
        const session = encoded.open({ exits: [2, 5] })
        session.push(0, 0)
        await session.run({ segment: 0, rows: [0] })
        const [[choice]] = await session.run({ segment: 1, rows: [0], exit: [] })
        tokens.push(choice.token)
        session.dispose()
      }
      encoded.dispose()
      assert.equal(tokens[0], tokens[1])
    })

    it('a disposed session says so, and disposing twice is fine', async () => {
      const encoded = await engine.encode([[5, 1]])
      const session = encoded.open({ exits: [2, 5] })
      session.push(0, 0)
      session.dispose()
      session.dispose()
      assert.throws(() => session.push(0, 0), { code: 'engine.disposed' })
      assert.throws(() => session.truncate(0, 0), { code: 'engine.disposed' })
      await assert.rejects(session.run({ segment: 0, rows: [0] }), { code: 'engine.disposed' })
      encoded.dispose()
      encoded.dispose()
    })
  })

  it('frees its weights, and then says so', async () => {
    const before = tf.memory().numTensors
    const engine = createTfjsEngine(readParityModel('v10'))
    engine.dispose()
    engine.dispose()
    assert.equal(tf.memory().numTensors, before)
    await assert.rejects(engine.encode([[1]]), { code: 'engine.disposed' })
  })

  it('rejects weights that are not those of the configuration, and keeps nothing', () => {
    const { config, weights } = readParityModel('v10')
    const before = tf.memory().numTensors
    const without = new Map(weights)
    without.delete('decoder.1.crossAttention.key')
    assert.throws(() => createTfjsEngine({ config, weights: without }), { code: 'engine.missing-weight' })
    const wrong = new Map(weights).set('decoder.finalNorm', { shape: [3], data: new Float32Array(3) })
    assert.throws(() => createTfjsEngine({ config, weights: wrong }), { code: 'engine.wrong-shape' })
    assert.equal(tf.memory().numTensors, before)
  })

  describe('with changed weights', () => {
    /** v11 with one weight changed. */
    const changed = (name: string, change: (weight: HostWeight) => void) => {
      const { config, weights } = readParityModel('v11')
      const copy = { shape: weights.get(name)!.shape, data: weights.get(name)!.data.slice() }
      change(copy)
      return createTfjsEngine({ config, weights: new Map(weights).set(name, copy) })
    }

    it('of equal logits the lowest id is chosen', async () => {
      const engine = changed('head', ({ shape: [rows, columns], data }) => {
        // Every fourth token gets the same column, larger than all others.
        for (let row = 0; row < rows; row++) {
          for (let column = 3; column < columns; column += 4)
            data[row * columns + column] = row === 0 ? 50 : 0
        }
      })
      for (const exit of [[], ['probabilities'], ['entropy']] as const) {
        const tokens = await withSession(engine, [3], async (session) => {
          for (const token of [0, 5, 6, 7, 8, 9]) session.push(0, token)
          const [choices] = await session.run({ segment: 0, rows: [0], exit })
          return choices.map(({ token }) => token)
        })
        // Where the first state is negative, the best is one of the others.
        assert.ok(tokens.includes(3), `${exit}: ${tokens}`)
        assert.ok(
          tokens.every((token) => token === 3 || token % 4 !== 3),
          `${exit}: ${tokens}`,
        )
      }
      engine.dispose()
    })

    it('NaN is an error, with and without probabilities', async () => {
      const before = tf.memory().numTensors
      const engine = changed('decoder.2.feedForward.output', ({ data }) => data.fill(NaN))
      for (const exit of [[], ['probabilities'], ['entropy'], ['logits']] as const) {
        await withSession(engine, [2, 3], async (session) => {
          session.push(0, 0)
          await session.run({ segment: 0, rows: [0], exit })
          await assert.rejects(session.run({ segment: 1, rows: [0], exit }), { code: 'engine.not-a-number' })
        })
      }
      engine.dispose()
      assert.equal(tf.memory().numTensors, before)
    })
  })
})
