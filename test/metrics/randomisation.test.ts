// Approximate randomisation: all p-values of randomisation.json (scipy, exact and sampled; sacreBLEU over a corpus), and
// what a p-value must be whatever the reference.
import assert from 'node:assert/strict'
import { meanScore, metricByName, randomisationTest, segmentStatistics } from '../../src/metrics/index.js'
import { Random } from '../../src/random.js'
import { assertClose, readGolden } from './golden.js'

interface Golden {
  readonly means: readonly { name: string; items: number; exact: number; all: number }[]
  readonly segments: readonly number[]
  readonly b: readonly string[]
  readonly corpus: readonly { name: string; pValue: number }[]
}

const asRows = (scores: readonly number[]) => scores.map((score) => [score])

describe('randomisation test', () => {
  const golden = readGolden<Golden>('randomisation.json')
  const { cases } = readGolden<{ cases: { name: string; a: number[]; b: number[] }[] }>('bootstrap.json')

  for (const { name, items, exact, all } of golden.means) {
    it(`has scipy's p-values: ${name}, exact over ${items} items and sampled over all`, () => {
      const { a, b } = cases.find((item) => item.name === name)!
      const few = { a: asRows(a.slice(-items)), b: asRows(b.slice(-items)) }
      assertClose(randomisationTest(meanScore, few, { numTrials: 1024 }), exact, 'exact')
      // A share p of 4000 trials has a standard deviation of 0.008 at most; four of them.
      const sampled = randomisationTest(meanScore, { a: asRows(a), b: asRows(b) }, { numTrials: 4000 })
      assert.ok(
        Math.abs(sampled - all) <= 4 * Math.sqrt((all * (1 - all)) / 4000) + 1 / 4000,
        `${sampled} ${all}`,
      )
    })
  }

  it('has sacreBLEU’s p-values over a corpus, of BLEU and chrF++', () => {
    const { segments } = readGolden<{ segments: { candidate: string; references: string[] }[] }>(
      'bleu-chrf.json',
    )
    const chosen = golden.segments.map((i) => segments[i])
    const references = chosen.map((segment) => segment.references)
    for (const { name, pValue } of golden.corpus) {
      const metric = metricByName(name)
      const rowsOf = (texts: readonly string[]) => segmentStatistics(metric, texts, references)
      const systems = { a: rowsOf(chosen.map(({ candidate }) => candidate)), b: rowsOf(golden.b) }
      const own = randomisationTest(metric, systems, { numTrials: 4000 })
      // Four standard deviations of a share of 4000 trials.
      assert.ok(
        Math.abs(own - pValue) <= 4 * Math.sqrt((pValue * (1 - pValue)) / 4000),
        `${name} ${own} ${pValue}`,
      )
    }
    assert.equal(golden.corpus.length, 2)
  })

  it('is uniform where the systems are equally good: one in ten p-values is at most 0.1', () => {
    const random = new Random(11)
    const pValues = Array.from({ length: 400 }, (_, seed) => {
      const draw = () => Array.from({ length: 40 }, () => [random.normal()])
      return randomisationTest(meanScore, { a: draw(), b: draw() }, { numTrials: 200, seed })
    })
    for (const level of [0.1, 0.5]) {
      const share = pValues.filter((p) => p <= level).length / 400
      assert.ok(Math.abs(share - level) <= 4 * Math.sqrt((level * (1 - level)) / 400), `${share} at ${level}`)
    }
  })

  it('does not depend on which system is called a, nor on rounding', () => {
    const a = asRows([0.1, 0.2, 0.3, 0.7])
    const b = asRows([0.3, 0.1, 0.2, 0.4])
    assert.equal(randomisationTest(meanScore, { a, b }), randomisationTest(meanScore, { a: b, b: a }))
    // Equal sums in another order: every exchange is at least as far.
    const same = { a: asRows([0.1, 0.2, 0.3]), b: asRows([0.3, 0.1, 0.2]) }
    assert.equal(randomisationTest(meanScore, same), 1)
    // Tenths are rounded, whole numbers are not.
    const random = new Random(2)
    for (let i = 0; i < 200; i++) {
      const whole = [0, 1].map(() => Array.from({ length: 6 }, () => random.integer(10)))
      const pValues = [1, 10].map((divisor) => {
        const [x, y] = whole.map((scores) => asRows(scores.map((score) => score / divisor)))
        return randomisationTest(meanScore, { a: x, b: y })
      })
      assert.equal(pValues[1], pValues[0], JSON.stringify(whole))
    }
  })

  it('is never 0 and depends on the seed only', () => {
    const systems = { a: asRows(Array(30).fill(1)), b: asRows(Array(30).fill(0)) }
    assert.equal(randomisationTest(meanScore, systems, { numTrials: 99 }), 1 / 100)
    const close = {
      a: asRows([...Array(30).keys()]),
      b: asRows([...Array(30).keys()].map((i) => (i * 7) % 30)),
    }
    const withSeed = (seed: number) => randomisationTest(meanScore, close, { seed })
    assert.equal(withSeed(1), withSeed(1))
  })

  it('refuses nothing to exchange, unequal systems, NaN and impossible options', () => {
    const rows = [[1], [2]]
    const refuses = (code: string, call: () => unknown) => assert.throws(call, { code })
    refuses('metrics.no-segments', () => randomisationTest(meanScore, { a: [], b: [] }))
    refuses('metrics.length-mismatch', () => randomisationTest(meanScore, { a: rows, b: [[1]] }))
    refuses('metrics.not-finite', () => randomisationTest(meanScore, { a: rows, b: [[1], [NaN]] }))
    refuses('metrics.bad-option', () => randomisationTest(meanScore, { a: rows, b: rows }, { numTrials: 0 }))
  })
})
