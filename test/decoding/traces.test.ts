// The reference implementation's early-exit traces (test/golden/t5-parity, free.json): tokens, exits, confidences, flush
// sizes and evidence, by the loop over the plain engine and over tfjs.
import assert from 'node:assert/strict'
import { decodeOne, free, full, lossless, staticExit } from '../../src/decoding/index.js'
import type { DecoderEngine, RowResult } from '../../src/decoding/index.js'
import { chooseBackend } from '../../src/engines/tfjs/backend.node.js'
import { createTfjsEngine } from '../../src/engines/tfjs/engine.js'
import { readGoldenJson, readParityModel } from '../golden/parity.js'
import { createReferenceEngine } from './referenceEngine.js'
import { ReferenceModel } from './referenceModel.js'

interface Trace {
  readonly prompt: number
  readonly shallowLayers: number
  readonly threshold: number
  readonly maxPending: number | null
  readonly ids: number[]
  readonly exits: string
  readonly confidence: number[]
  readonly forced: number[]
  readonly flushes: number[]
  readonly evidence: [number, number, number][]
  readonly pendingAtEnd: number
  readonly finish: string
  readonly lossless: number[]
  readonly greedy: number[]
  readonly static: number[]
}

interface TraceFile {
  readonly prompts: number[][]
  readonly maxNewTokens: number
  readonly decoderLayers: number
  readonly traces: Trace[]
}

const engines = {
  reference: (name: string, shallowLayers: number) => {
    const { config, weights } = readParityModel(name, shallowLayers)
    return createReferenceEngine(new ReferenceModel(config, weights))
  },
  'tfjs on wasm': (name: string, shallowLayers: number) =>
    createTfjsEngine(readParityModel(name, shallowLayers)),
}

for (const [engineName, create] of Object.entries(engines)) {
  describe(`traces of the reference implementation, ${engineName} engine`, () => {
    before(() => chooseBackend({ backend: 'wasm' }))
    for (const [name, shallowLayers] of [
      ['free-v10', 2],
      ['free-v11', 1],
      ['free-v11', 2],
    ] as const) {
      describe(`${name}, S = ${shallowLayers}`, () => {
        const file = readGoldenJson(`${name}/free.json`) as TraceFile
        const traces = file.traces.filter((trace) => trace.shallowLayers === shallowLayers)
        let engine: DecoderEngine
        before(() => {
          engine = create(name, shallowLayers)
        })
        after(() => engine.dispose())
        const decode = (trace: Trace, options: Omit<Parameters<typeof decodeOne>[2], 'maxNewTokens'>) =>
          decodeOne(engine, file.prompts[trace.prompt], { ...options, maxNewTokens: file.maxNewTokens })

        it(`has 165 traces`, () => assert.equal(traces.length, 165))

        it('free goes step for step as the traces say', async () => {
          for (const trace of traces) {
            const { threshold, maxPending } = trace
            checkFree(await decode(trace, { policy: free(threshold), maxPending }), trace, file.decoderLayers)
          }
        }).timeout(120_000)

        it('lossless emits what full emits', async () => {
          for (const trace of traces) {
            const { threshold, maxPending } = trace
            const { tokens } = await decode(trace, { policy: lossless(threshold), maxPending })
            assert.deepEqual(tokens, trace.lossless, describeTrace(trace))
          }
        }).timeout(120_000)

        it('full and static emit the greedy ids of their exits', async () => {
          for (const trace of traces.filter((_, i) => i % 33 === 0)) {
            assert.deepEqual((await decode(trace, { policy: full() })).tokens, trace.greedy)
            assert.deepEqual((await decode(trace, { policy: staticExit() })).tokens, trace.static)
          }
        })
      })
    }
  })
}

function checkFree(result: RowResult, trace: Trace, decoderLayers: number): void {
  const what = describeTrace(trace)
  const isDeep = [...trace.exits].map((letter) => letter === 'D')
  assert.deepEqual(result.tokens, trace.ids, what)
  assert.deepEqual(
    result.exits,
    isDeep.map((deep) => (deep ? 'deep' : 'shallow')),
    what,
  )
  assert.deepEqual(
    result.exitLayers,
    isDeep.map((deep) => (deep ? decoderLayers : trace.shallowLayers)),
  )
  assert.deepEqual(result.flushes, trace.flushes, what)
  assert.deepEqual(result.forced, trace.forced, what)
  assert.equal(result.pendingAtEnd, trace.pendingAtEnd, what)
  assert.equal(result.finishReason, trace.finish, what)
  assert.equal(result.steps, trace.ids.length, what)
  assertNear(result.confidences, trace.confidence, what)
  assert.deepEqual(
    result.evidence.map(({ position, agree }) => [position, Number(agree)]),
    trace.evidence.map(([, agree, position]) => [position, agree]),
    what,
  )
  assertNear(
    result.evidence.map(({ confidence }) => confidence),
    trace.evidence.map(([confidence]) => confidence),
    what,
  )
}

/** The traces' confidences are of float64; float32 stays within 1e-4. */
function assertNear(actual: readonly (number | null)[], expected: readonly number[], what: string): void {
  assert.equal(actual.length, expected.length, what)
  for (const [i, value] of expected.entries()) {
    assert.ok(Math.abs(actual[i]! - value) <= 1e-4, `${what}: confidence ${i}: ${actual[i]}, not ${value}`)
  }
}

function describeTrace({ prompt, threshold, maxPending }: Trace): string {
  return `prompt ${prompt}, threshold ${threshold}, maxPending ${maxPending}`
}
