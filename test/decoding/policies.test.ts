// Policies from options, and confidence measures.
import assert from 'node:assert/strict'
import { fixed } from '../../src/calibration/index.js'
import { parseDecodingOptions } from '../../src/config/index.js'
import type { DecodingOptionsInput } from '../../src/config/index.js'
import { confidenceMeasure, createPolicy } from '../../src/decoding/index.js'

const optionsOf = (options: DecodingOptionsInput) => parseDecodingOptions(options, 'test')

describe('createPolicy', () => {
  it('makes each policy with its threshold', () => {
    for (const name of ['full', 'static', 'free', 'rollback', 'lossless'] as const) {
      const policy = createPolicy(optionsOf({ policy: name, threshold: 0.6 }))
      assert.equal(policy.name, name)
      assert.equal(policy.threshold, name === 'full' || name === 'static' ? null : 0.6)
    }
    assert.equal(createPolicy(optionsOf({})).name, 'free')
    assert.equal(createPolicy(optionsOf({})).threshold, 0.9)
  })

  it('adaptive starts a calibrator of that name, or goes on with the one given', () => {
    const options = optionsOf({ threshold: 'adaptive' })
    const { threshold } = createPolicy(options)
    assert.ok(typeof threshold === 'object' && threshold!.name === 'beta-mixture' && threshold!.isAdaptive)
    const given = fixed()
    assert.equal(createPolicy(options, given).threshold, given)
    assert.throws(() => createPolicy({ ...options, calibrator: 'beta-mixtur' }), {
      code: 'calibration.unknown-calibrator',
    })
  })

  it('calibrated needs a calibration', () => {
    const options = optionsOf({ threshold: 'calibrated' })
    assert.throws(() => createPolicy(options), { code: 'decoding.no-calibration' })
    const given = fixed({ threshold: 0.4 })
    assert.equal(createPolicy(options, given).threshold, given)
  })
})

describe('decoding options', () => {
  it('are completed with defaults', () => {
    assert.deepEqual(optionsOf({}), {
      policy: 'free',
      threshold: 0.9,
      calibrator: 'beta-mixture',
      batchSize: 1,
      maxNewTokens: 128,
      minNewTokens: 0,
      noRepeatNgram: 0,
      temperature: null,
      topK: null,
      topP: null,
      seed: 0,
      beams: 1,
      lengthPenalty: 1,
      earlyStopping: false,
      maxPending: null,
      confidence: 'top2-gap',
      evidence: false,
      exactConfidence: false,
      profit: 'off',
    })
  })

  it('impossible ones are errors that name the key', () => {
    for (const [options, key] of [
      [{ threshold: 1.2 }, 'threshold'],
      [{ threshold: 'adaptiv' }, 'threshold'],
      [{ policy: 'fast' }, 'policy'],
      [{ policy: 'free', exitLayer: 3 }, 'exitLayer'],
      [{ policy: 'lossless', rollbackBound: 3 }, 'rollbackBound'],
      [{ policy: 'rollback', rollbackBound: -1 }, 'rollbackBound'],
      [{ minNewTokens: 9, maxNewTokens: 9 }, 'minNewTokens'],
      [{ confidence: 'gut feeling' }, 'confidence'],
    ] as const) {
      assert.throws(
        () => optionsOf(options as DecodingOptionsInput),
        (error: { code: string; message: string }) => {
          assert.equal(error.code, 'config.invalid-value')
          assert.match(error.message, new RegExp(key))
          return true
        },
      )
    }
    assert.throws(() => optionsOf({ maxPendng: 1 } as DecodingOptionsInput), {
      code: 'config.unknown-key',
      message: /did you mean maxPending/,
    })
  })
})

describe('confidence measures', () => {
  it('are 1 for certainty and 0 for ignorance', () => {
    for (const name of ['top2-gap', 'top1', 'entropy'] as const) {
      const { measure } = confidenceMeasure(name, {})
      assert.equal(measure({ token: 0, top1: 1, top2: 0, entropy: 0 }, 8), 1)
      const uniform = measure({ token: 0, top1: 1 / 8, top2: 1 / 8, entropy: Math.log(8) }, 8)
      assert.ok(Math.abs(uniform - (name === 'top1' ? 1 / 8 : 0)) < 1e-12)
    }
  })

  it('learned asks a confidence head, and is refused where there is none', () => {
    const { needs, measure } = confidenceMeasure('learned', { hasConfidenceHead: true })
    assert.deepEqual([needs, measure({ token: 0, agreement: 0.25 }, 8)], [['agreement'], 0.25])
    assert.throws(() => confidenceMeasure('learned', { hasConfidenceHead: false }), {
      code: 'decoding.no-confidence-head',
    })
  })

  it('stay in [0, 1] under rounding, and let NaN through', () => {
    const { measure } = confidenceMeasure('entropy', {})
    assert.equal(measure({ token: 0, entropy: Math.log(8) + 1e-6 }, 8), 0)
    assert.equal(measure({ token: 0, entropy: -1e-7 }, 8), 1)
    assert.ok(Number.isNaN(measure({ token: 0, entropy: NaN }, 8)))
  })
})
