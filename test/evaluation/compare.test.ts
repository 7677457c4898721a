// Comparisons of two runs: which way round, what the numbers are, and where there are none.
import assert from 'node:assert/strict'
import type { Prediction } from '../../src/data/index.js'
import { compareRuns, type ComparedRun } from '../../src/evaluation/index.js'
import { exactMatch, metricByName } from '../../src/metrics/index.js'

const REFERENCES = Array.from({ length: 12 }, (_, i) => [`answer number ${i}`])
/** Right but for the named examples. */
const textsWithout = (wrong: readonly number[]) =>
  REFERENCES.map(([text], i) => (wrong.includes(i) ? 'something else' : text))
const run = (texts: readonly string[], timing?: (i: number) => Partial<Prediction>): ComparedRun => ({
  predictions: texts.map((text, i) => ({ text, ...timing?.(i) })),
})
const baseline = run(textsWithout([0, 1]))
const candidate = run(textsWithout([1, 2, 3]))

describe('compareRuns', () => {
  it('holds the candidate against the baseline: difference below 0, ratio below 1 where it is worse', () => {
    const metrics = [exactMatch(), metricByName('rouge1')]
    const { quality, examples, latency } = compareRuns({
      baseline,
      candidate,
      references: REFERENCES,
      metrics,
    })
    assert.equal(examples, 12)
    assert.equal(latency, null)
    assert.deepEqual(Object.keys(quality), ['exactMatch', 'rouge1'])
    const { difference, ratio, signature, ...scores } = quality.exactMatch
    assert.ok(Math.abs(scores.baseline - 1000 / 12) < 1e-9 && Math.abs(scores.candidate - 75) < 1e-9)
    assert.ok(Math.abs(difference.value - (75 - 1000 / 12)) < 1e-9)
    assert.ok(Math.abs(ratio!.value - 0.9) < 1e-9)
    assert.ok(difference.low! < difference.value && difference.value < difference.high!)
    assert.ok(ratio!.low! < 0.9 && 0.9 < ratio!.high!)
    assert.match(signature, /^nrefs:1\|/)
  })

  it('has the p-value that counting gives: of 3 examples that differ, 2 against 1', () => {
    const { quality } = compareRuns({
      baseline,
      candidate,
      references: REFERENCES,
      metrics: [exactMatch()],
      bootstrap: { numResamples: 4096 },
    })
    // Any way in which 3 coins fall differs by 1 at least.
    assert.equal(quality.exactMatch.pValue.randomisation, 1)
    assert.ok(quality.exactMatch.pValue.bootstrap > 0.5)
  })

  it('a run against itself keeps all of it, with an interval of no width', () => {
    const { quality } = compareRuns({
      baseline,
      candidate: baseline,
      references: REFERENCES,
      metrics: [exactMatch()],
    })
    const { difference, ratio, pValue } = quality.exactMatch
    assert.deepEqual(difference, { value: 0, low: 0, high: 0 })
    assert.deepEqual(ratio, { value: 1, low: 1, high: 1 })
    assert.deepEqual(pValue, { bootstrap: 1, randomisation: 1 })
  })

  it('has no ratio to a baseline that is never right, and no intervals of a single example', () => {
    const never = run(REFERENCES.map(() => 'no'))
    const metrics = [exactMatch()]
    assert.equal(
      compareRuns({ baseline: never, candidate, references: REFERENCES, metrics }).quality.exactMatch.ratio,
      null,
    )
    const one = run(['answer number 0'])
    const { quality } = compareRuns({ baseline: one, candidate: one, references: [REFERENCES[0]], metrics })
    assert.deepEqual(quality.exactMatch.ratio, { value: 1, low: null, high: null })
  })

  describe('of times', () => {
    const metrics = [exactMatch()]
    const texts = textsWithout([])
    const tokens = (count: number) => Array.from({ length: count }, () => 3)
    const timed = (msPerToken: (i: number) => number) =>
      run(texts, (i) => ({ tokens: tokens(i + 1), decodingMs: msPerToken(i) * (i + 1) }))
    const compare = (a: ComparedRun, b: ComparedRun) =>
      compareRuns({ baseline: a, candidate: b, references: REFERENCES, metrics }).latency

    it('the speed-up is the ratio of total ms per total token, with an interval', () => {
      const { baselineMsPerToken, candidateMsPerToken, speedup } = compare(
        timed((i) => 4 + (i % 3)),
        timed(() => 2),
      )!
      // 1 to 12 tokens: those of 4, 5, 6 ms are 22, 26, 30.
      const mean = (22 * 4 + 26 * 5 + 30 * 6) / 78
      assert.ok(Math.abs(baselineMsPerToken - mean) < 1e-9)
      assert.equal(candidateMsPerToken, 2)
      assert.ok(Math.abs(speedup.value - mean / 2) < 1e-9)
      assert.ok(speedup.low! < speedup.value && speedup.value < speedup.high!)
      assert.ok(speedup.low! >= 2 && speedup.high! <= 3)
    })

    it('has no interval where one run has only its mean, and nothing where one has none', () => {
      const mean: ComparedRun = { ...run(texts), msPerTokenMean: 6 }
      assert.deepEqual(
        compare(
          mean,
          timed(() => 2),
        ),
        {
          baselineMsPerToken: 6,
          candidateMsPerToken: 2,
          speedup: { value: 3, low: null, high: null },
        },
      )
      assert.equal(
        compare(
          run(texts),
          timed(() => 2),
        ),
        null,
      )
      const half = run(texts, (i) => (i > 0 ? { tokens: [3], decodingMs: 1 } : {}))
      assert.equal(
        compare(
          half,
          timed(() => 2),
        ),
        null,
      )
    })
  })
})
