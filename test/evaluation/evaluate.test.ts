// The figures of an evaluation against ones worked out by hand, and the sweep's choices.
import assert from 'node:assert/strict'
import { betaMixture } from '../../src/calibration/index.js'
import type { Prediction } from '../../src/data/index.js'
import { free, full, staticExit } from '../../src/decoding/index.js'
import {
  ablateThresholds,
  calibrateOn,
  evaluate,
  measure,
  parseAblationResult,
  quantile,
  type EvaluationResult,
} from '../../src/evaluation/index.js'
import { areaUnderCurves } from '../../src/evaluation/area.js'
import { bleu } from '../../src/metrics/index.js'
import { ScriptedEngine, type ScriptedStep } from './scriptedEngine.js'

/** One letter a token: `sure` exits at 0.9, `unsure` at 0.1; in upper case where the exits differ. */
const script = (text: string): ScriptedStep[] => [
  ...[...text].map((letter) => {
    const code = letter.toLowerCase().charCodeAt(0) - 90
    const isUnsure = 'aeiou'.includes(letter.toLowerCase())
    return {
      shallow: letter === letter.toLowerCase() ? code : 99,
      confidence: isUnsure ? 0.1 : 0.9,
      deep: code,
    }
  }),
  { shallow: 1, confidence: 0.9, deep: 1 },
]
const toText = (tokens: readonly number[]) =>
  tokens
    .filter((token) => token > 1)
    .map((token) => (token === 99 ? '?' : String.fromCharCode(token + 90)))
    .join(' ')

const WORDS = ['bcdafg', 'bcdEfgh', 'hijklmn']
const setUp = () => {
  const engine = new ScriptedEngine(WORDS.map(script))
  const examples = WORDS.map((word, index) => ({
    source: [index, 1],
    sourceText: word,
    references: [[...word.toLowerCase()].join(' ')],
  }))
  return { engine, examples, metrics: [bleu()], toText, warmUp: 0, now: () => engine.clockMs }
}

describe('evaluate', () => {
  it('counts times, exits and layer passes as worked out by hand', async () => {
    const result = await evaluate({
      ...setUp(),
      createPolicy: () => free(0.5),
      loop: { evidence: true },
      baseline: true,
    })
    // Per word: every token pays 2 layers; a vowel flushes what is pending with itself through 6 more.
    // bcdafg</s>: 7 tokens, 1 flush of 4 -> 20 ms. bcdEfgh</s>: 8, 1 of 4 -> 22. hijklmn</s>: 8, 1 of 2 -> 22.
    assert.equal(result.tokens, 23)
    assert.equal(result.examples, 3)
    assert.equal(result.latency.msPerTokenMean, 64 / 23)
    assert.equal(result.latency.msPerTokenP50, 22 / 8)
    assert.equal(result.latency.encoderMsP50, 10)
    assert.equal(result.speedup, 8 / (64 / 23))
    assert.equal(result.speedupWithEncoder, (23 * 8 + 30) / (64 + 30))
    assert.deepEqual(result.exits, {
      shallowShare: 20 / 23,
      meanDepth: (20 * 2 + 3 * 8) / 23,
      layerPasses: (23 * 2 + 3 * 6) / (8 * 23),
      // Flushed positions: bcda, bcdE, hi; only E's exits differ.
      agreement: 9 / 10,
      flushes: 3,
      meanFlushSize: 10 / 3,
    })
    assert.equal(result.quality.bleu.score.toFixed(6), '100.000000')
    assert.match(result.quality.bleu.signature, /^nrefs:1\|/)
    assert.equal(result.threshold, 0.5)
  })

  it('leaves the speed-ups null without a baseline', async () => {
    const result = await evaluate({ ...setUp(), createPolicy: full, baseline: false })
    assert.equal(result.speedup, null)
    assert.equal(result.threshold, null)
    assert.equal(result.latency.msPerTokenMean, 8)
  })

  it('keeps outputs token by token: together their texts are the output', async () => {
    const result = await evaluate({
      ...setUp(),
      createPolicy: () => staticExit(),
      baseline: false,
      numOutputs: 2,
    })
    assert.equal(result.outputs!.length, 2)
    for (const { tokens, text } of result.outputs!)
      assert.equal(tokens.map((token) => token.text).join(''), text)
    assert.equal(result.outputs![1].text, 'b c d ? f g h')
  })

  it('hands over what the policy answered to each example, not what the baseline did, with its times', async () => {
    const handed: Prediction[] = []
    await evaluate({
      ...setUp(),
      createPolicy: () => staticExit(),
      baseline: true,
      onPredictions: (predictions) => handed.push(...predictions),
    })
    // Two layers a token and nothing else.
    assert.deepEqual(
      handed.map(({ text, tokens, ...times }) => ({ text, numTokens: tokens!.length, ...times })),
      [
        { text: 'b c d a f g', numTokens: 7, decodingMs: 14, encoderMs: 10 },
        { text: 'b c d ? f g h', numTokens: 8, decodingMs: 16, encoderMs: 10 },
        { text: 'h i j k l m n', numTokens: 8, decodingMs: 16, encoderMs: 10 },
      ],
    )
  })

  it('rotates the order of the settings example by example', async () => {
    const { engine, examples } = setUp()
    const order: string[] = []
    const setting = (name: string) => ({
      name,
      createPolicy: () => {
        const policy = full()
        return { ...policy, exits: (info: typeof engine.info) => (order.push(name), policy.exits(info)) }
      },
    })
    await measure({
      engine,
      sources: examples.map(({ source }) => source),
      settings: ['a', 'b', 'c'].map(setting),
      warmUp: 0,
      now: () => engine.clockMs,
    })
    assert.equal(order.join(''), 'abcbcacab')
  })

  it('takes quantiles as NumPy does', () => {
    assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5)
    assert.equal(quantile([1, 2, 3, 4, 5], 0.95), 4.8)
    assert.equal(quantile([7], 0.95), 7)
  })

  it('stops when aborted, with the signal’s reason', async () => {
    const reason = new Error('enough')
    await assert.rejects(
      evaluate({ ...setUp(), createPolicy: full, baseline: false, signal: AbortSignal.abort(reason) }),
      reason,
    )
  })
})

describe('ablateThresholds', () => {
  it('has full, static, the thresholds and adaptive, and the fastest threshold that keeps 99 %', async () => {
    const result = await ablateThresholds({
      ...setUp(),
      thresholds: [0, 0.5, 0.95],
      createCalibrator: () => betaMixture({ minEvidence: 1 }),
      losslessThreshold: 0.5,
    })
    assert.deepEqual(
      result.rows.map(({ policy, threshold }) => `${policy} ${threshold}`),
      ['full null', 'static null', 'free 0', 'free 0.5', 'free 0.95', 'free adaptive', 'lossless 0.5'],
    )
    assert.equal(result.rows[0].speedup, 1)
    // Threshold 0 is faster but emits the shallow exit's mistake; 0.95 never exits.
    assert.ok(result.rows[2].quality.bleu.score < 99)
    assert.equal(result.bestFixed, result.rows[3])
    assert.equal(result.adaptive, result.rows[5])
    assert.equal(result.rows[6].quality.bleu.score, result.rows[0].quality.bleu.score)
    assert.ok(result.rows[5].evidence !== undefined && result.rows[5].thresholdAtEnd !== undefined)
    assert.deepEqual(
      parseAblationResult(JSON.parse(JSON.stringify(result)), 'result'),
      JSON.parse(JSON.stringify(result)),
    )
  })

  it('takes the area under the best quality within each latency budget', () => {
    const row = (policy: string, msPerTokenMean: number, score: number, threshold: number | null = null) =>
      ({
        policy,
        threshold,
        latency: { msPerTokenMean },
        quality: { bleu: { score } },
      }) as unknown as EvaluationResult
    const areas = areaUnderCurves([
      row('full', 10, 40),
      row('static', 2, 20),
      row('free', 8, 40, 0.9),
      row('free', 5, 30, 0.5),
    ])
    assert.equal(areas.full, 0)
    assert.equal(areas.static.toFixed(9), (0.5 * 0.8).toFixed(9))
    assert.equal(areas.free.toFixed(9), (0.75 * 0.3 + 1 * 0.2).toFixed(9))
  })
})

describe('calibrateOn', () => {
  it('loses no evidence: every position is flushed', async () => {
    const { engine, examples } = setUp()
    const calibration = await calibrateOn({ engine, sources: examples.map(({ source }) => source) })
    assert.equal(calibration.evidenceCount, 23)
    assert.equal(calibration.agreement, 22 / 23)
    assert.equal(calibration.shallowLayers, 2)
    assert.equal(calibration.confidence, 'top2-gap')
  })
})
