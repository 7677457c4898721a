// Results and calibrations in sentences.
import assert from 'node:assert/strict'
import type { Evidence } from '../../src/calibration/index.js'
import { calibrate } from '../../src/calibration/index.js'
import { describeCalibration, describeFindings } from '../../src/report/index.js'
import { emptyRow, LEAKED_VALUES, sampleAblation, sampleAdaptive } from './samples.js'

describe('findings', () => {
  it('say what was gained and what was kept', () => {
    assert.deepEqual(describeFindings(sampleAblation()), [
      'Full decoding, all 8 layers for every token, takes 8.99 ms per token (median) and scores 36.80 BLEU.',
      'Always leaving at the shallow exit is 3.67× as fast as full and keeps 93.0% of its BLEU.',
      'The best fixed threshold, 0.5, is 2.23× as fast as full and keeps 99.0% of its BLEU.',
      "The adaptive threshold (0.56 at the end) is 2.03× as fast as full and keeps 99.3% of its BLEU, at 91% of the best fixed one's speed.",
      'Lossless decoding, threshold 0.5, is 1.91× as fast as full and keeps 100.0% of its BLEU.',
    ])
  })

  it('say so where no fixed threshold keeps enough, and are silent on what was not measured', () => {
    const { rows } = sampleAblation()
    assert.ok(
      describeFindings({ rows, bestFixed: null }).includes(
        'No fixed threshold that was measured keeps 99% of it.',
      ),
    )
    assert.equal(describeFindings({ rows: rows.slice(0, 1), bestFixed: null }).length, 1)
    assert.deepEqual(describeFindings({ rows: [] }), [])
  })

  it('do without full, scores and speed-ups', () => {
    const row = emptyRow({ policy: 'lossless', threshold: 0.5, quality: {} })
    assert.deepEqual(describeFindings({ rows: [row] }), [
      'Lossless decoding, threshold 0.5, takes 5.00 ms per token.',
    ])
    const zero = emptyRow({ quality: { bleu: { score: 0, low: null, high: null, signature: '' } } })
    const text = describeFindings({ rows: [zero, emptyRow({ policy: 'static' })] }).join(' ')
    assert.doesNotMatch(text, LEAKED_VALUES)
    assert.match(text, /takes 5\.00 ms per token and scores 20\.00 BLEU/)
  })
})

/** Evidence that agrees with the given chance of agreement at each confidence, without randomness. */
function evidence(count: number, agree: (confidence: number, index: number) => boolean): Evidence[] {
  return Array.from({ length: count }, (_, i) => {
    const confidence = (i + 0.5) / count
    return { confidence, agree: agree(confidence, i) }
  })
}

describe('calibration in words', () => {
  const branches: Readonly<Record<string, { points: Evidence[]; says: RegExp; options?: object }>> = {
    'no-evidence': { points: [], says: /No flushed position was seen.*initial threshold/ },
    'too-little-evidence': { points: evidence(5, () => true), says: /Too little/ },
    'everything-agrees': { points: evidence(60, () => true), says: /always agreed/ },
    'nothing-agrees': { points: evidence(60, () => false), says: /never agreed, so no token exits shallow/ },
    'zero-variance': {
      points: Array.from({ length: 60 }, (_, i) => ({ confidence: 0.5, agree: i % 4 > 0 })),
      says: /hardly vary/,
    },
    fitted: { points: evidence(400, (c, i) => c > 0.4 || i % 5 === 0), says: /Two Beta distributions/ },
    fixed: { points: evidence(60, () => true), says: /was given/, options: { calibrator: 'fixed' } },
  }
  for (const [branch, { points, says, options }] of Object.entries(branches)) {
    it(`explains ${branch}, with the calibrator's own message`, () => {
      const calibration = calibrate(points, { shallowLayers: 2, ...options })
      assert.equal(calibration.diagnostics.code, `calibration.${branch}`)
      const text = describeCalibration(calibration).join(' ')
      assert.match(text, says)
      assert.ok(text.includes(calibration.diagnostics.message))
      assert.doesNotMatch(text, LEAKED_VALUES)
    })
  }

  it('says what the labels did to the threshold', () => {
    const { evidence: kept } = sampleAdaptive()
    assert.match(
      describeCalibration(kept).join(' '),
      /labels confirm the threshold: of 2,249 positions above it, 96\.6% agree/,
    )
    const check = { code: 'calibration.labels-raised', evidenceCount: 30, agreement: 0.8 } as const
    const raised = { ...kept.diagnostics, labelCheck: check, proposedThreshold: 0.3, threshold: 0.7 }
    assert.match(
      describeCalibration({ ...kept, threshold: 0.7, diagnostics: raised }).join(' '),
      /from 0\.3 to 0\.7: of 30/,
    )
    const refusal = { code: 'calibration.labels-refused', evidenceCount: 0, agreement: null } as const
    const refused = { ...kept.diagnostics, labelCheck: refusal }
    assert.match(
      describeCalibration({ ...kept, threshold: 1, diagnostics: refused }).join(' '),
      /refuse every threshold/,
    )
  })

  it('tells the fit over everything from where the threshold ended while it moved', () => {
    const { evidence: summary } = sampleAdaptive()
    const isMoved = (text: string) =>
      text.includes('threshold 0.56; while decoding, the threshold moved and ended at 0.47')
    assert.ok(describeCalibration({ ...summary, threshold: 0.47 }).some(isMoved))
    assert.ok(!describeCalibration(summary).some((text) => text.includes('while decoding')))
  })

  it('leaves a branch that it does not know to its message', () => {
    const { evidence: known } = sampleAdaptive()
    const diagnostics = {
      ...known.diagnostics,
      code: 'calibration.conformal',
      message: 'risk at most 0.1',
      labelCheck: null,
    }
    assert.deepEqual(describeCalibration({ ...known, diagnostics }).slice(1), [
      'The calibrator says: risk at most 0.1 (calibration.conformal).',
    ])
  })
})
