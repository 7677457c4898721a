// The JSON contract of `evaluate` and `ablate thresholds`.
import assert from 'node:assert/strict'
import { calibrate } from '../../src/calibration/index.js'
import type { Calibration } from '../../src/calibration/index.js'
import type { EvaluationResult, EvidenceSummary } from '../../src/evaluation/index.js'
import { parseAblationResult, parseEvaluationResult } from '../../src/evaluation/index.js'
import { emptyRow, readAblationJson, sampleAdaptive } from '../report/samples.js'

describe('results as JSON', () => {
  it('an ablation is the same after it was checked', () => {
    assert.deepEqual(parseAblationResult(readAblationJson(), 'ablation.json'), readAblationJson())
  })

  it('has the keys of the contract and no others but those marked as for reports', () => {
    const contract = {
      policy: 'free',
      threshold: 0.5,
      engine: 'tfjs',
      backend: 'wasm',
      dtype: 'float32',
      threads: 1,
      examples: 2,
      tokens: 20,
      quality: { bleu: { score: 30, low: null, high: null, signature: 'nrefs:1' } },
      latency: {
        msPerTokenP50: 1,
        msPerTokenP95: 2,
        msPerTokenMean: 1.5,
        tokensPerSecond: 600,
        encoderMsP50: 3,
      },
      exits: {
        shallowShare: 0.5,
        meanDepth: 5,
        layerPasses: 0.6,
        agreement: 0.9,
        flushes: 10,
        meanFlushSize: 2,
      },
      speedup: null,
      speedupWithEncoder: null,
    }
    assert.deepEqual(parseEvaluationResult(contract, 'x'), contract)
    for (const key of Object.keys(contract)) {
      const { [key]: _, ...rest } = contract as Record<string, unknown>
      assert.throws(() => parseEvaluationResult(rest, 'x'), { code: 'config.invalid-value' }, key)
    }
    assert.throws(() => parseEvaluationResult({ ...contract, speedUp: 2 }, 'x'), {
      code: 'config.unknown-key',
      message: /speedUp/,
    })
  })

  for (const [what, change] of [
    ['a threshold above 1', { threshold: 1.5 }],
    ['an unknown word for a threshold', { threshold: 'auto' }],
    ['a share below 0', { exits: { ...emptyRow().exits, shallowShare: -0.1 } }],
    ['a NaN', { latency: { ...emptyRow().latency, msPerTokenP50: Number.NaN } }],
    [
      'an unknown exit',
      { outputs: [{ source: '', references: [], text: '', tokens: [{ exit: 'middle' }] }] },
    ],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parseEvaluationResult({ ...emptyRow(), ...change }, 'x'), {
        code: 'config.invalid-value',
      })
    })
  }

  it('takes a calibration as it is saved for the evidence of a row', () => {
    const evidence = Array.from({ length: 60 }, (_, i) => ({ confidence: (i % 30) / 30, agree: i % 30 > 9 }))
    const calibration: Calibration = calibrate(evidence, { shallowLayers: 2 })
    const summary: EvidenceSummary = calibration
    const row: EvaluationResult = { ...emptyRow(), evidence: summary }
    const read = parseEvaluationResult(JSON.parse(JSON.stringify(row)), 'x')
    assert.equal(read.evidence?.threshold, calibration.threshold)
    assert.deepEqual(read.evidence?.histogram, calibration.histogram)
  })

  it('keeps outputs and evidence', () => {
    const row = sampleAdaptive()
    assert.deepEqual(parseEvaluationResult(JSON.parse(JSON.stringify(row)), 'x'), row)
  })
})
