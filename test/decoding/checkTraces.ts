// Declares the tests of the reference implementation's early-exit traces (test/golden/t5-parity, free.json) for an
// engine: tokens, exits, confidences, flush sizes, evidence.
import assert from 'node:assert/strict'
import { decodeOne, free, full, lossless, staticExit } from '../../src/decoding/index.js'
import type { DecodeOptions, DecoderEngine, RowResult } from '../../src/decoding/index.js'
import type { ModelWeights } from '../../src/checkpoint/index.js'
import { readGoldenJson, readParityModel } from '../golden/parity.js'

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

/** Makes the engine under test from a checkpoint of the vectors. */
type MakeEngine = (model: ModelWeights) => DecoderEngine | Promise<DecoderEngine>

interface Extent {
  /** Folders of the vectors and their shallow exits. */
  readonly folders: readonly (readonly [name: string, shallowLayers: number])[]
  /** Whether lossless is run on every trace; else on those of three thresholds. */
  readonly isComplete: boolean
}

/** All folders and shallow exits that have traces. */
export const allFolders: Extent['folders'] = [
  ['free-v10', 2],
  ['free-v11', 1],
  ['free-v11', 2],
]

/** Declares the tests of the traces for one engine. */
export function checkTraces(engineName: string, makeEngine: MakeEngine, extent: Extent): void {
  describe(`traces of the reference implementation, ${engineName}`, () => {
    for (const [name, shallowLayers] of extent.folders) {
      describe(`${name}, S = ${shallowLayers}`, () => {
        const file = readGoldenJson(`${name}/free.json`) as TraceFile
        const traces = file.traces.filter((trace) => trace.shallowLayers === shallowLayers)
        let engine: DecoderEngine
        before(async () => {
          engine = await makeEngine(readParityModel(name, shallowLayers))
        })
        after(() => engine.dispose())
        const decode = (trace: Trace, options: DecodeOptions) =>
          decodeOne(engine, file.prompts[trace.prompt], { ...options, maxNewTokens: file.maxNewTokens })

        it('free goes step for step as all 165 traces say', async () => {
          assert.equal(traces.length, 165)
          for (const trace of traces) {
            const { threshold, maxPending } = trace
            const options = { policy: free(threshold), maxPending, evidence: true }
            checkFree(await decode(trace, options), trace, file.decoderLayers)
          }
        }).timeout(300_000)

        const draft = traces.filter(({ threshold }) => extent.isComplete || [0, 0.3, 0.6].includes(threshold))
        it(`lossless emits what full emits, on ${draft.length} traces`, async () => {
          for (const trace of draft) {
            const { threshold, maxPending } = trace
            const { tokens } = await decode(trace, { policy: lossless(threshold), maxPending })
            assert.deepEqual(tokens, trace.lossless, describeTrace(trace))
          }
        }).timeout(300_000)

        it('full and static emit the greedy ids of their exits', async () => {
          for (const prompt of file.prompts.keys()) {
            const trace = traces.find((trace) => trace.prompt === prompt)!
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
    const isNear = Math.abs(actual[i]! - value) <= 1e-4
    if (!isNear) assert.fail(`${what}: confidence ${i}: ${actual[i]}, not ${value}`)
  }
}

function describeTrace({ prompt, threshold, maxPending }: Trace): string {
  return `prompt ${prompt}, threshold ${threshold}, maxPending ${maxPending}`
}
