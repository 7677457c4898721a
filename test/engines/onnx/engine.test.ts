// The ONNX Runtime engine: its choices against those of tfjs, its errors, and what it holds. Its arithmetic against the
// reference implementation: parity.test.ts.
import assert from 'node:assert/strict'
import type { HostWeight } from '../../../src/config/index.js'
import { decodeAll, full, lossless } from '../../../src/decoding/index.js'
import type { DecoderEngine, ExitChoice, ExitFeature, SessionOptions } from '../../../src/decoding/index.js'
import { createOnnxEngine, type OnnxRuntime } from '../../../src/engines/onnx/index.js'
import { loadOnnxRuntime } from '../../../src/engines/onnx/index.node.js'
import { chooseBackend } from '../../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../../src/engines/tfjs/index.js'
import { Random } from '../../../src/random.js'
import { readParityModel } from '../../golden/parity.js'
import { makeOnnxEngine } from './onnxEngine.js'

const SOURCE = [5, 9, 1]

/** What the shallow exit of a fresh session says at some positions. */
async function choose(
  engine: DecoderEngine,
  exit: readonly ExitFeature[],
  options: Omit<SessionOptions, 'exits'> & { readonly tokens?: readonly number[] } = {},
): Promise<readonly ExitChoice[]> {
  const { tokens = [0, 17, 60], ...open } = options
  const encoded = await engine.encode([SOURCE])
  const session = encoded.open({ exits: [2, 5], ...open })
  try {
    for (const token of tokens) session.push(0, token)
    return (await session.run({ segment: 0, rows: [0], exit }))[0]
  } finally {
    session.dispose()
    encoded.dispose()
  }
}

/** Numbers within 1e-4, all else equal. */
function assertSame(actual: unknown, expected: unknown, what: string): void {
  if (typeof expected === 'number' && typeof actual === 'number') {
    const isClose = Math.abs(actual - expected) <= 1e-4 * (1 + Math.abs(expected))
    if (!isClose) assert.fail(`${what}: ${actual}, not ${expected}`)
  } else if (typeof expected === 'object' && expected !== null) {
    assert.deepEqual(Object.keys(actual as object), Object.keys(expected), what)
    for (const [key, value] of Object.entries(expected)) {
      assertSame((actual as Record<string, unknown>)[key], value, `${what}.${key}`)
    }
  } else assert.equal(actual, expected, what)
}

/** ONNX Runtime, counting the graphs that are loaded. */
function counting(runtime: OnnxRuntime): { readonly runtime: OnnxRuntime; readonly numLoaded: () => number } {
  let numLoaded = 0
  const InferenceSession: OnnxRuntime['InferenceSession'] = {
    create: async (model, options) => {
      const session = await runtime.InferenceSession.create(model, options)
      numLoaded++
      return {
        run: (feeds, fetches) => session.run(feeds, fetches),
        release: async () => {
          numLoaded--
          await session.release()
        },
      }
    },
  }
  return { runtime: { Tensor: runtime.Tensor, InferenceSession }, numLoaded: () => numLoaded }
}

describe('the ONNX Runtime engine', () => {
  const model = readParityModel('free-v11', 2)
  let onnx: DecoderEngine
  let tfjs: DecoderEngine
  before(async () => {
    await chooseBackend({ backend: 'wasm' })
    onnx = await makeOnnxEngine(model)
    tfjs = createTfjsEngine(model)
  })
  after(() => {
    onnx.dispose()
    tfjs.dispose()
  })

  it('says what it is', () => {
    const { engine, backend, dtype, threads, isApproximate, ...rest } = onnx.info
    assert.deepEqual([engine, backend, dtype, threads, isApproximate], ['onnx', 'cpu', 'float32', 1, false])
    const { engine: _e, backend: _b, dtype: _d, threads: _t, ...expected } = tfjs.info
    assert.deepEqual(rest, expected)
  })

  const requests: (readonly ExitFeature[])[] = [
    [],
    ['probabilities'],
    ['entropy'],
    ['candidates'],
    ['logits'],
    ['probabilities', 'entropy', 'candidates', 'logits'],
  ]

  it('answers every question as tfjs does', async () => {
    for (const exit of requests) {
      const options = { numCandidates: 4 }
      assertSame(await choose(onnx, exit, options), await choose(tfjs, exit, options), exit.join())
    }
  })

  it('answers every question as tfjs does where tokens are forbidden, at these positions alone', async () => {
    const [, best] = await choose(onnx, ['candidates'], { numCandidates: 3 })
    const banned = best.candidates!.slice(0, 2).map(({ token }) => token)
    const forbidden = (row: number, position: number) => (row === 0 && position === 1 ? banned : [])
    for (const exit of requests) {
      const options = { numCandidates: 4, forbidden }
      const choices = await choose(onnx, exit, options)
      assert.equal(choices[1].token, best.candidates![2].token)
      for (const { logits } of choices) logits?.forEach((x, i) => x <= -1e9 && (logits[i] = -1e9))
      const expected = await choose(tfjs, exit, options)
      for (const { logits } of expected) logits?.forEach((x, i) => x <= -1e9 && (logits[i] = -1e9))
      assertSame(choices, expected, exit.join())
    }
  })

  it('tells of candidates no more than are left', async () => {
    const allowed = [7, 8]
    const forbidden = () => Array.from({ length: 300 }, (_, i) => i).filter((i) => !allowed.includes(i))
    const options = { numCandidates: 4, forbidden }
    assertSame(await choose(onnx, ['candidates'], options), await choose(tfjs, ['candidates'], options), '')
  })

  it('tells what a confidence head says, as tfjs does, and says where there is none', async () => {
    const random = new Random(3)
    const draw = (...shape: number[]): HostWeight => ({
      shape,
      data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()),
    })
    const config = { ...model.config, confidenceHead: true }
    const weights = new Map(model.weights)
    weights.set('confidenceHead.weight', draw(config.dModel, 2)).set('confidenceHead.bias', draw(2))
    const [ours, theirs] = [await makeOnnxEngine({ config, weights }), createTfjsEngine({ config, weights })]
    const exit = ['agreement', 'probabilities'] as const
    const [actual, expected] = [await choose(ours, exit), await choose(theirs, exit)]
    assertSame(
      actual.map(({ agreement, top1 }) => [agreement, top1]),
      expected.map(({ agreement, top1 }) => [agreement, top1]),
      'agreement',
    )
    ours.dispose()
    theirs.dispose()
    await assert.rejects(choose(onnx, exit), { code: 'engine.no-confidence-head' })
  })

  it('grows its caches, keeping what they hold', async () => {
    const tokens = Array.from({ length: 150 }, (_, i) => (i * 37) % 300)
    const choicesOf = async (engine: DecoderEngine) => {
      const encoded = await engine.encode([SOURCE, [8, 1]])
      const session = encoded.open({ exits: [2, 5] })
      const all: ExitChoice[] = []
      for (const [position, token] of tokens.entries()) {
        for (const row of [0, 1]) session.push(row, token)
        await session.run({ segment: 0, rows: [0, 1] })
        // Passes of 1, 2, 3, ... positions.
        if (!Number.isInteger((Math.sqrt(8 * (position + 1) + 1) - 1) / 2) && position < 149) continue
        all.push(...(await session.run({ segment: 1, rows: [1, 0], exit: ['probabilities'] })).flat())
      }
      session.dispose()
      encoded.dispose()
      return all
    }
    const all = await choicesOf(onnx)
    assert.equal(all.length, 300)
    assertSame(all, await choicesOf(tfjs), 'choice')
  })

  it('goes the same where the runtime does not write in place', async () => {
    const runtime = await loadOnnxRuntime()
    const copying = await createOnnxEngine({ ...model, runtime, writesInPlace: false, backend: 'wasm' })
    const sources = [SOURCE, [8, 1], [40, 41, 42, 1]]
    for (const policy of [full(), lossless(0.3)]) {
      const options = { policy, maxNewTokens: 12, batchSize: 3 }
      const plain = await decodeAll(onnx, sources, options)
      assert.deepEqual(await decodeAll(copying, sources, options), plain)
    }
    assert.equal(copying.info.backend, 'wasm')
    copying.dispose()
  })

  it('knows onnxruntime-web, which does not write in place, by itself', async () => {
    const web = await createOnnxEngine({ ...model, runtime: await import('onnxruntime-web') })
    assert.equal(web.info.backend, 'wasm')
    for (const policy of [full(), lossless(0.3)]) {
      const [actual, expected] = await Promise.all(
        [web, onnx].map((engine) => decodeAll(engine, [SOURCE, [8, 1]], { policy, maxNewTokens: 12 })),
      )
      for (const [row, { tokens, exits, confidences }] of actual.entries()) {
        assert.deepEqual([tokens, exits], [expected[row].tokens, expected[row].exits])
        assertSame(confidences, expected[row].confidences, 'confidence')
      }
    }
    web.dispose()
  })

  it('leaves a session as it was when a pass throws', async () => {
    let isBroken = true
    const encoded = await onnx.encode([SOURCE])
    const forbidden = () => {
      if (isBroken) throw new Error('on purpose')
      return []
    }
    const session = encoded.open({ exits: [2, 5], forbidden })
    for (const token of [0, 17, 60]) session.push(0, token)
    const request = { segment: 0, rows: [0], exit: ['logits'] } as const
    await assert.rejects(session.run(request), /on purpose/)
    isBroken = false
    assert.deepEqual((await session.run(request))[0], await choose(onnx, ['logits']))
    session.dispose()
  })

  it('rejects what it cannot encode, and with the reason when aborted', async () => {
    await assert.rejects(onnx.encode([[5, 1], []]), { code: 'engine.empty-source' })
    await assert.rejects(onnx.encode([[300, 1]]), { code: 'engine.token-out-of-range' })
    const reason = new Error('enough')
    const isReason = (error: unknown) => error === reason
    await assert.rejects(onnx.encode([SOURCE], { signal: AbortSignal.abort(reason) }), isReason)
    const encoded = await onnx.encode([SOURCE])
    const session = encoded.open({ exits: [2, 5] })
    session.push(0, 0)
    const aborted = { segment: 0, rows: [0], signal: AbortSignal.abort(reason) }
    await assert.rejects(session.run(aborted), isReason)
    session.dispose()
    session.dispose()
    assert.throws(() => session.push(0, 0), { code: 'engine.disposed' })
    assert.throws(() => session.reorder([0], [0]), { code: 'engine.disposed' })
    await assert.rejects(session.run({ segment: 0, rows: [0] }), { code: 'engine.disposed' })
  })

  it('rejects weights that are not those of the configuration', async () => {
    const without = new Map(model.weights)
    without.delete('decoder.1.crossAttention.key')
    await assert.rejects(makeOnnxEngine({ ...model, weights: without }), { code: 'engine.missing-weight' })
    const wrong = new Map(model.weights).set('decoder.finalNorm', { shape: [3], data: new Float32Array(3) })
    await assert.rejects(makeOnnxEngine({ ...model, weights: wrong }), { code: 'engine.wrong-shape' })
  })

  it('loads each graph once, others when they are first run, and releases all of them', async () => {
    const { runtime, numLoaded } = counting(await loadOnnxRuntime())
    const engine = await createOnnxEngine({ ...model, runtime })
    assert.equal(numLoaded(), 4)
    for (let i = 0; i < 2; i++) {
      const encoded = await engine.encode([SOURCE])
      const session = encoded.open({ exits: [5] })
      session.push(0, 0)
      await session.run({ segment: 0, rows: [0] })
      session.dispose()
      assert.equal(numLoaded(), 5)
    }
    engine.dispose()
    engine.dispose()
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(numLoaded(), 0)
    await assert.rejects(engine.encode([SOURCE]), { code: 'engine.disposed' })
  })

  it('says in one line how to get onnxruntime-node where it is missing', async () => {
    const missing = loadOnnxRuntime(() =>
      Promise.reject(new Error("Cannot find package 'onnxruntime-node'\nat x")),
    )
    await assert.rejects(missing, (error: Error & { readonly code: string; readonly hint: string }) => {
      assert.equal(error.code, 'engine.onnxruntime-missing')
      assert.match(error.message, /^[^\n]*onnxruntime-node[^\n]*\(Cannot find package 'onnxruntime-node'\)$/)
      assert.match(error.hint, /npm install onnxruntime-node/)
      return true
    })
  })

  describe('with changed weights', () => {
    /** v11 with one weight changed. */
    const changed = (name: string, change: (weight: HostWeight) => void) => {
      const { config, weights } = readParityModel('v11')
      const copy = { shape: weights.get(name)!.shape, data: weights.get(name)!.data.slice() }
      change(copy)
      return makeOnnxEngine({ config, weights: new Map(weights).set(name, copy) })
    }

    it('of equal logits the lowest id is chosen', async () => {
      const engine = await changed('head', ({ shape: [rows, columns], data }) => {
        // Every fourth token gets the same column, larger than all others.
        for (let row = 0; row < rows; row++) {
          for (let column = 3; column < columns; column += 4) {
            data[row * columns + column] = row === 0 ? 50 : 0
          }
        }
      })
      for (const exit of requests) {
        const choices = await choose(engine, exit, { tokens: [0, 5, 6, 7, 8, 9] })
        const tokens = choices.map(({ token }) => token)
        // Where the first state is negative, the best is one of the others.
        assert.ok(tokens.includes(3), `${exit}: ${tokens}`)
        assert.ok(
          tokens.every((token) => token === 3 || token % 4 !== 3),
          `${exit}: ${tokens}`,
        )
      }
      engine.dispose()
    })

    it('NaN is an error, of all logits or of one, whatever is asked', async () => {
      const engines = [
        await changed('decoder.1.feedForward.output', ({ data }) => data.fill(NaN)),
        await changed('head', ({ data }) => (data[40] = NaN)),
      ]
      for (const engine of engines) {
        for (const exit of requests) {
          await assert.rejects(choose(engine, exit), { code: 'engine.not-a-number' })
        }
        engine.dispose()
      }
    })
  })
})
