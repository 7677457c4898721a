// The profit rule, end to end on an engine whose clock is known: its costs are measured as on any other, its sequences
// decoded, and its time compared with that of full decoding.
import assert from 'node:assert/strict'
import { betaMixture, calibrate } from '../../src/calibration/index.js'
import { decodeAll, free, full, lossless, rollback, type Policy } from '../../src/decoding/index.js'
import type { RowResult } from '../../src/decoding/index.js'
import {
  decodeByProfit,
  evaluate,
  ProfitRule,
  type DecodingCosts,
  type EvaluationResult,
  type ProfitDecision,
} from '../../src/evaluation/index.js'
import { bleu } from '../../src/metrics/index.js'
import { measureSegmentCosts } from '../../src/pipeline/index.js'
import { Random } from '../../src/random.js'
import { DECODER_LAYERS, SHALLOW_LAYERS, ScriptedEngine, type ScriptedStep } from './scriptedEngine.js'

const NUM_TOKENS = 12
const THRESHOLD = 0.5

interface World {
  /** Of a pass over one position, by layer, and what each further position adds to it. */
  readonly layerMs: number
  readonly risePerPosition: number
  /** Of an exit. */
  readonly exitMs: number
}

interface Tokens {
  readonly exitShare: number
  readonly agreement: number
  readonly numSequences: number
}

/** Each token is sure and right by chance; the last ends the sequence at both exits. */
function drawScripts(
  { exitShare, agreement, numSequences }: Tokens,
  random = new Random(3),
): ScriptedStep[][] {
  return Array.from({ length: numSequences }, () =>
    Array.from({ length: NUM_TOKENS }, (_, position): ScriptedStep => {
      const isSure = random.uniform() < exitShare
      const isRight = random.uniform() < agreement
      const deep = position === NUM_TOKENS - 1 ? 1 : 10 + position
      const shallow = isRight || position === NUM_TOKENS - 1 ? deep : 90
      return { shallow, deep, confidence: isSure ? 0.9 : 0.1 }
    }),
  )
}

const engineOf = (scripts: ScriptedStep[][], { layerMs, risePerPosition, exitMs }: World) =>
  new ScriptedEngine(
    [...scripts, Array.from({ length: 99 }, () => ({ shallow: 9, deep: 9, confidence: 0.9 }))],
    (layers, positions, numAsked) =>
      layers * layerMs * (1 + risePerPosition * (positions - 1)) + (numAsked > 0 ? exitMs : 0),
  )

/** The costs as they are measured; the last script is long enough for that. */
async function costsOf(engine: ScriptedEngine, numScripts: number): Promise<DecodingCosts> {
  const { costs, fullMs } = await measureSegmentCosts({
    engine,
    source: [numScripts, 1],
    contextLength: 4,
    confidence: 'top2-gap',
    depths: [SHALLOW_LAYERS],
    now: () => engine.clockMs,
  })
  return { ...costs[0], fullMs }
}

/** Evaluates with the rule and, beside it, full. */
async function play(
  createPolicy: () => Policy,
  world: World,
  tokens: Tokens,
): Promise<EvaluationResult & { decisions: ProfitDecision[] }> {
  const scripts = drawScripts(tokens)
  const engine = engineOf(scripts, world)
  const decisions: ProfitDecision[] = []
  const costs = await costsOf(engine, scripts.length)
  const profit = new ProfitRule({ costs, onDecision: (decision) => decisions.push(decision) })
  const result = await evaluate({
    engine,
    examples: scripts.map((_, i) => ({ source: [i, 1], sourceText: '', references: ['x'] })),
    metrics: [bleu()],
    toText: (ids) => ids.join(' '),
    createPolicy,
    baseline: true,
    profit,
    now: () => engine.clockMs,
  })
  return { ...result, decisions }
}

const CHEAP_EXIT: World = { layerMs: 1, risePerPosition: 0.05, exitMs: 0.1 }
const DEAR_EXIT: World = { layerMs: 0.2, risePerPosition: 0.05, exitMs: 8 }
/** The head is half of full decoding: without exits, early ones cost half of it more. */
const HALF_HEAD: World = { layerMs: 1, risePerPosition: 0.05, exitMs: DECODER_LAYERS }

describe('the profit rule', () => {
  it('takes full from the first sequence on where deep layers are so cheap that no share of exits would pay', async () => {
    // Each token pays two exits, or all share one deep pass: no bound and no share makes that cheaper.
    const world = { ...DEAR_EXIT, risePerPosition: 50 }
    const { profit, speedup, exits } = await play(() => lossless(THRESHOLD), world, {
      exitShare: 0.9,
      agreement: 1,
      numSequences: 20,
    })
    assert.deepEqual([profit!.full, profit!.early, profit!.trials], [20, 0, 0])
    assert.deepEqual([speedup, exits.shallowShare], [1, 0])
  })

  it('keeps the policy where deep layers are expensive and tokens leave', async () => {
    const tokens = { exitShare: 0.8, agreement: 0.98, numSequences: 40 }
    for (const policy of [free, lossless]) {
      const { profit, speedup } = await play(() => policy(THRESHOLD), CHEAP_EXIT, tokens)
      assert.equal(profit!.full, 0)
      assert.ok(speedup! > 1.6, `${speedup}`)
    }
  })

  it('goes over to full after few sequences where no token leaves, and tries again seldom', async () => {
    const { profit, decisions, speedup } = await play(() => free(THRESHOLD), HALF_HEAD, {
      exitShare: 0,
      agreement: 1,
      numSequences: 200,
    })
    const firstFull = decisions.findIndex(({ isFull }) => isFull)
    assert.ok(firstFull >= 1 && firstFull <= 3, `${firstFull}`)
    const trials = decisions.flatMap(({ reason }, i) => (reason === 'trial' ? [i] : []))
    assert.equal(profit!.trials, trials.length)
    assert.ok(trials.length >= 1 && trials.length <= 3, trials.join())
    assert.ok(trials.every((at, i) => at - (trials[i - 1] ?? firstFull) >= 32 * 2 ** i))
    assert.ok(speedup! > 1 / 1.03 && speedup! < 1)
  })

  it('notices that the data have changed', () => {
    const costs = { shallowMs: 10, deep: [{ positions: 1, ms: 14 }], fullMs: 16 }
    const rule = new ProfitRule({ costs })
    const play = (confidence: number, numSequences: number) =>
      Array.from({ length: numSequences }, () => {
        const decision = rule.decide({ policy: free(THRESHOLD) })
        rule.observe(answer(confidence, decision.isFull))
        return decision.isFull
      })
    assert.equal(play(0.1, 30).at(-1), true)
    const later = play(0.9, 60)
    assert.ok(later.includes(true))
    assert.deepEqual(later.slice(-20), new Array(20).fill(false))
    assert.equal(play(0.1, 30).at(-1), true)
  })

  for (const [name, policyOf] of [
    ['free', free],
    ['lossless', lossless],
  ] as const) {
    it(`never makes ${name} more than 3 % slower than full, whatever passes cost and tokens do`, async () => {
      const slowest: string[] = []
      for (const world of [CHEAP_EXIT, HALF_HEAD, DEAR_EXIT]) {
        for (const exitShare of [0, 0.1, 0.5, 0.8, 1]) {
          for (const agreement of name === 'free' ? [1] : [0.4, 0.9]) {
            const cell = await play(() => policyOf(THRESHOLD), world, {
              exitShare,
              agreement,
              numSequences: 60,
            })
            if (1 / cell.speedup! > 1.03) {
              slowest.push(`${1 / cell.speedup!} at ${JSON.stringify({ world, exitShare, agreement })}`)
            }
          }
        }
      }
      assert.deepEqual(slowest, [])
    })
  }

  it('changes no token of lossless, and of free none of the rows that ran as full', async () => {
    const tokens = { exitShare: 0.55, agreement: 0.7, numSequences: 40 }
    const scripts = drawScripts(tokens)
    const engine = engineOf(scripts, HALF_HEAD)
    const sources = scripts.map((_, i) => [i, 1])
    const reference = await decodeAll(engine, sources, { policy: full() })
    const costs = await costsOf(engine, scripts.length)
    for (const policy of [free(THRESHOLD), lossless(THRESHOLD)]) {
      const profit = new ProfitRule({ costs })
      let numFull = 0
      for (const [i, source] of sources.entries()) {
        const [result] = await resultsOf(decodeByProfit(engine, [source], { policy, profit }))
        const { isFull } = profit.last!
        if (isFull) numFull++
        if (isFull || policy.name === 'lossless') assert.deepEqual(result.tokens, reference[i].tokens)
      }
      assert.ok(numFull > 0 && numFull < sources.length, `${policy.name}: ${numFull}`)
    }
  })

  it('stands aside where maxPending is given, also as none', async () => {
    const scripts = drawScripts({ exitShare: 0, agreement: 1, numSequences: 1 })
    const engine = engineOf(scripts, DEAR_EXIT)
    const profit = new ProfitRule({ costs: { shallowMs: 9, deep: [{ positions: 1, ms: 9 }], fullMs: 1 } })
    for (const maxPending of [4, null]) {
      const how = { policy: free(THRESHOLD), profit, maxPending }
      const [result] = await resultsOf(decodeByProfit(engine, [[0, 1]], how))
      assert.equal(result.threshold, THRESHOLD)
      assert.equal(profit.last, undefined)
    }
    const [result] = await resultsOf(
      decodeByProfit(engine, [[0, 1]], { policy: free(THRESHOLD), profit, maxPending: undefined }),
    )
    assert.deepEqual([result.threshold, profit.last!.isFull], [null, true])
  })

  it('decides for a batch as a whole, and learns from all of its rows', async () => {
    const scripts = drawScripts({ exitShare: 0, agreement: 1, numSequences: 4 })
    const engine = engineOf(scripts, HALF_HEAD)
    const profit = new ProfitRule({ costs: await costsOf(engine, scripts.length) })
    const run = () =>
      resultsOf(
        decodeByProfit(
          engine,
          scripts.map((_, i) => [i, 1]),
          { policy: free(THRESHOLD), profit },
        ),
      )
    assert.ok((await run()).every(({ threshold }) => threshold === THRESHOLD))
    assert.ok((await run()).every(({ threshold }) => threshold === null))
  })

  it('starts from what a calibration saw', () => {
    const costs = { shallowMs: 10, deep: [{ positions: 1, ms: 14 }], fullMs: 16 }
    const seen = (confidence: number) =>
      calibrate(new Array(50).fill({ confidence, agree: true }), { shallowLayers: SHALLOW_LAYERS })
    const decide = (confidence: number) =>
      new ProfitRule({ costs, calibration: seen(confidence) }).decide({ policy: free(THRESHOLD) })
    assert.deepEqual([decide(0.2).isFull, decide(0.8).isFull], [true, false])
    assert.deepEqual([decide(0.2).exitShare, decide(0.8).exitShare], [0, 1])
  })

  it('lets an adaptive threshold gather its first evidence, and judges by the threshold that comes next', () => {
    const costs = { shallowMs: 10, deep: [{ positions: 1, ms: 14 }], fullMs: 16 }
    const calibrator = betaMixture({ minEvidence: 30 })
    const rule = new ProfitRule({ costs })
    const question = { policy: free(calibrator) }
    const reasons: string[] = []
    for (let i = 0; i < 3; i++) {
      // All is below the threshold that the calibrator starts with.
      const decision = rule.decide(question)
      reasons.push(decision.reason)
      assert.equal(decision.isFull, false)
      rule.observe(answer(0.6, false, calibrator.threshold))
      calibrator.observe(new Array(NUM_TOKENS).fill({ confidence: 0.6, agree: true }))
    }
    assert.equal(reasons.at(-1), 'evidence')
    assert.ok(calibrator.threshold < 0.6)
    const { isFull, exitShare, reason } = rule.decide(question)
    assert.deepEqual([isFull, exitShare, reason], [false, 1, 'cheapest'])
  })

  it('depends on costs and sequences alone, and refuses policies without a choice', () => {
    const costs = { shallowMs: 10, deep: [{ positions: 1, ms: 14 }], fullMs: 16 }
    const run = () => {
      const rule = new ProfitRule({ costs })
      const random = new Random(2)
      return Array.from({ length: 50 }, () => {
        const decision = rule.decide({ policy: rollback(THRESHOLD) })
        rule.observe(answer(random.uniform(), decision.isFull))
        return decision
      })
    }
    assert.deepEqual(run(), run())
    assert.throws(() => new ProfitRule({ costs }).decide({ policy: full() }), {
      code: 'evaluation.profit-policy',
    })
  })
})

/** A sequence all of whose tokens have one confidence, as a policy without verification or full decodes it. */
function answer(confidence: number, isFull: boolean, threshold = THRESHOLD): RowResult {
  const each = <T>(value: T) => new Array<T>(NUM_TOKENS).fill(value)
  const leaves = !isFull && confidence > threshold
  return {
    tokens: each(5),
    exits: each(leaves ? 'shallow' : 'deep'),
    confidences: each(isFull ? null : confidence),
    threshold: isFull ? null : threshold,
    forced: [],
  } as unknown as RowResult
}

async function resultsOf(events: ReturnType<typeof decodeByProfit>): Promise<RowResult[]> {
  const results: RowResult[] = []
  for await (const event of events) if (event.type === 'end') results[event.row] = event.result
  return results
}
