// Bootstrap intervals and paired tests: all five cases of bootstrap.json (averages of 200,000 reference resamples, and
// the exact shares where all could be listed), and corpus metrics.
import assert from 'node:assert/strict'
import {
  bleu,
  bootstrapInterval,
  chrf,
  meanScore,
  pairedBootstrap,
  segmentStatistics,
  sumStatistics,
} from '../../src/metrics/index.js'
import { Random } from '../../src/random.js'
import { assertClose, readGolden } from './golden.js'

interface GoldenCase {
  name: string
  a: number[]
  b: number[]
  n: number
  meanA: number
  meanB: number
  meanDifference: number
  standardError: number
  shareNotBetter: number
  shareWorse: number
  low95: number
  high95: number
  exact: { resamples: number; shareNotBetter: number; shareWorse: number } | null
  tolerance: { samples: number; share: number; interval: number }
}

const asRows = (scores: readonly number[]) => scores.map((score) => [score])

function assertWithin(actual: number, expected: number, tolerance: number, what: string): void {
  assert.ok(
    Math.abs(actual - expected) <= tolerance,
    `${what}: expected ${expected} +- ${tolerance}, got ${actual}`,
  )
}

describe('bootstrap', () => {
  const { cases } = readGolden<{ cases: GoldenCase[] }>('bootstrap.json')

  it('has five cases to match', () => assert.equal(cases.length, 5))

  for (const golden of cases) {
    const systems = { a: asRows(golden.a), b: asRows(golden.b) }
    const { samples, share, interval } = golden.tolerance

    it(`pairs as the reference does: ${golden.name}, means, shares and standard error, five seeds`, () => {
      assert.deepEqual([golden.a.length, golden.b.length], [golden.n, golden.n])
      for (const seed of [1, 2, 3, 4, 5]) {
        const result = pairedBootstrap(meanScore, systems, { seed, numResamples: samples })
        assert.equal(result.numResamples, samples)
        assertClose(result.scoreA, golden.meanA, 'mean of a')
        assertClose(result.scoreB, golden.meanB, 'mean of b')
        assertClose(result.score, golden.meanDifference, 'difference')
        assertWithin(result.shareNotBetter, golden.shareNotBetter, share, 'share not better')
        assertWithin(result.shareWorse, golden.shareWorse, share, 'share worse')
        // An estimate from 1000 resamples has a relative standard deviation of 1 / sqrt(2000) = 2.2 %.
        assertWithin(
          result.standardError,
          golden.standardError,
          0.1 * golden.standardError + 1e-12,
          'standard error',
        )
      }
    })

    it(`pairs as the reference does: ${golden.name}, interval, five seeds`, () => {
      // The scores of exact-match and five-items lie on a lattice: with 1000 resamples an end is one step off (beyond
      // the tolerance) for 5 and 12 % of seeds, with numpy's generator as with ours. Ten times as many settle it.
      for (const seed of [1, 2, 3, 4, 5]) {
        const result = pairedBootstrap(meanScore, systems, { seed, numResamples: 10 * samples })
        assertWithin(result.low, golden.low95, interval, 'low')
        assertWithin(result.high, golden.high95, interval, 'high')
      }
    })
  }

  it('lists all resamples of a small set, and then its shares and standard error are exact', () => {
    const golden = cases.find((item) => item.exact !== null)
    assert.ok(golden?.exact)
    const { resamples } = golden.exact
    const systems = { a: asRows(golden.a), b: asRows(golden.b) }
    const result = pairedBootstrap(meanScore, systems, { numResamples: resamples, seed: 1 })
    assert.ok(result.isExact)
    assert.equal(result.numResamples, resamples)
    assert.equal(result.shareNotBetter, golden.exact.shareNotBetter)
    assert.equal(result.shareWorse, golden.exact.shareWorse)
    assertClose(result.standardError, golden.standardError, 'standard error')
    assertWithin(result.low, golden.low95, golden.tolerance.interval, 'low')
    assertWithin(result.high, golden.high95, golden.tolerance.interval, 'high')
    assert.deepEqual(pairedBootstrap(meanScore, systems, { numResamples: resamples, seed: 2 }), result)
    assert.ok(!pairedBootstrap(meanScore, systems, { numResamples: resamples - 1 }).isExact)
  })

  it('gives identical systems a p-value of 1, a clearly better one the smallest, and never 0', () => {
    const pValue = (name: string) => {
      const golden = cases.find((item) => item.name === name)
      assert.ok(golden)
      return pairedBootstrap(meanScore, { a: asRows(golden.a), b: asRows(golden.b) }).pValue
    }
    assert.equal(pValue('identical'), 1)
    assert.ok(pValue('shuffled') > 0.8)
    assert.equal(pValue('clearly-better'), 2 / 1001)
  })

  it('rounding errors of equal sums count as no difference', () => {
    const a = [0.1, 0.2, 0.3].map((score) => [score])
    const b = [0.2, 0.3, 0.1].map((score) => [score])
    assert.notEqual(0.1 + 0.2 + 0.3, 0.2 + 0.3 + 0.1)
    assert.equal(pairedBootstrap(meanScore, { a, b }, { numResamples: 1 }).score, 0)
  })

  it('of the mean has the interval that listing, sorting and numpy’s quantiles give', () => {
    const scores = [0, 1, 5]
    const means = scores
      .flatMap((x) => scores.flatMap((y) => scores.map((z) => (x + y + z) / 3)))
      .sort((x, y) => x - y)
    const at = (share: number) => {
      const position = share * 26
      const below = Math.floor(position)
      return means[below] + (position - below) * (means[below + 1] - means[below])
    }
    const result = bootstrapInterval(meanScore, asRows(scores), { numResamples: 27, level: 0.8 })
    assert.deepEqual([result.numResamples, result.isExact, result.score], [27, true, 2])
    assertClose([result.low, result.high], [at(0.1), at(0.9)], 'interval')
  })

  it('of BLEU and chrF resamples segments, not their scores: equal to scoring the resampled texts', () => {
    const words = 'the a cat dog sat ran on under mat rug'.split(' ')
    const random = new Random(5)
    const text = () => Array.from({ length: 8 }, () => words[random.integer(words.length)]).join(' ')
    const hypotheses = Array.from({ length: 12 }, text)
    const references = hypotheses.map((hypothesis) => [hypothesis.replace('cat', 'dog').replace('the', 'a')])
    for (const metric of [bleu(), chrf({ wordOrder: 2 })]) {
      const draw = new Random(7)
      const scores = Array.from({ length: 200 }, () => {
        const chosen = hypotheses.map(() => draw.integer(hypotheses.length))
        return metric.score(
          chosen.map((i) => hypotheses[i]),
          chosen.map((i) => references[i]),
        )
      })
      const rows = segmentStatistics(metric, hypotheses, references)
      const result = bootstrapInterval(metric, rows, { numResamples: 200, seed: 7 })
      const mean = scores.reduce((sum, score) => sum + score, 0) / 200
      const variance = scores.reduce((sum, score) => sum + (score - mean) ** 2, 0) / 200
      assertClose(result.score, metric.aggregate(sumStatistics(rows), rows.length), 'score')
      assertClose(result.standardError, Math.sqrt(variance), 'standard error')
      assert.ok(result.low < result.score && result.score < result.high)
    }
  })

  it('has the ratio’s interval that listing, sorting and numpy’s quantiles give', () => {
    const a = [2, 3, 7]
    const b = [1, 2, 5]
    const indices = [0, 1, 2]
    const ratios = indices
      .flatMap((i) => indices.flatMap((j) => indices.map((k) => (a[i] + a[j] + a[k]) / (b[i] + b[j] + b[k]))))
      .sort((x, y) => x - y)
    const at = (share: number) => {
      const position = share * 26
      const below = Math.floor(position)
      return ratios[below] + (position - below) * (ratios[below + 1] - ratios[below])
    }
    const { ratio } = pairedBootstrap(
      meanScore,
      { a: asRows(a), b: asRows(b) },
      { numResamples: 27, level: 0.8 },
    )
    assertClose([ratio!.score, ratio!.low, ratio!.high], [12 / 8, at(0.1), at(0.9)], 'ratio')
  })

  it('has no ratio where b scores 0, in all segments or in a resample', () => {
    const a = asRows([1, 1, 1])
    assert.equal(pairedBootstrap(meanScore, { a, b: asRows([0, 0, 0]) }).ratio, null)
    assert.equal(pairedBootstrap(meanScore, { a, b: asRows([0, 0, 1]) }).ratio, null)
    assert.notEqual(pairedBootstrap(meanScore, { a, b: asRows([2, 2, 1]) }).ratio, null)
  })

  it('its ratio’s 95 % interval holds the true ratio in about 95 of 100 samples', () => {
    const random = new Random(3)
    const numSamples = 400
    let numHeld = 0
    for (let seed = 0; seed < numSamples; seed++) {
      // Scores around 40 and 0.97 of it, correlated as those of two runs of one model are.
      const common = Array.from({ length: 60 }, () => 40 + 15 * random.normal())
      const a = common.map((score) => [0.97 * score + 3 * random.normal()])
      const b = common.map((score) => [score + 3 * random.normal()])
      const { ratio } = pairedBootstrap(meanScore, { a, b }, { numResamples: 300, seed })
      if (ratio!.low <= 0.97 && 0.97 <= ratio!.high) numHeld++
    }
    // Four standard deviations of a share of 400, and the percentile interval is slightly narrow at n = 60.
    assert.ok(numHeld / numSamples >= 0.9 && numHeld / numSamples <= 0.99, `${numHeld} of ${numSamples}`)
  })

  it('depends on the seed only', () => {
    const rows = asRows(cases[0].a)
    assert.deepEqual(
      bootstrapInterval(meanScore, rows, { seed: 3 }),
      bootstrapInterval(meanScore, rows, { seed: 3 }),
    )
    assert.notDeepEqual(
      bootstrapInterval(meanScore, rows, { seed: 3 }),
      bootstrapInterval(meanScore, rows, { seed: 4 }),
    )
  })

  it('refuses nothing to resample, unequal systems, NaN, ragged rows and impossible options', () => {
    const rows = [[1], [2]]
    const refuses = (code: string, call: () => unknown) => assert.throws(call, { code })
    refuses('metrics.no-segments', () => bootstrapInterval(meanScore, []))
    refuses('metrics.length-mismatch', () => pairedBootstrap(meanScore, { a: rows, b: [[1]] }))
    refuses('metrics.not-finite', () => bootstrapInterval(meanScore, [[1], [NaN]]))
    refuses('metrics.not-finite', () => bootstrapInterval(meanScore, [[1], [1, 2]]))
    refuses('metrics.bad-option', () => bootstrapInterval(meanScore, rows, { numResamples: 0 }))
    refuses('metrics.bad-option', () => bootstrapInterval(meanScore, rows, { numResamples: 1.5 }))
    refuses('metrics.bad-option', () => bootstrapInterval(meanScore, rows, { level: 1 }))
    refuses('metrics.bad-option', () => bootstrapInterval(meanScore, rows, { level: NaN }))
  })
})
