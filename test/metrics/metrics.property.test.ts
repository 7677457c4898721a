// Laws that hold for any texts: bounds, symmetry, order of segments, and what another reference may change.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  bleu,
  chrf,
  computeRouge,
  exactMatch,
  f1,
  meanScore,
  METRIC_NAMES,
  metricByName,
  pairedBootstrap,
  rouge,
  segmentStatistics,
  splitWhiteSpace,
  sumStatistics,
  tokenizeText,
} from '../../src/metrics/index.js'

const word = fc.constantFrom(
  'the',
  'cat',
  'cats',
  'sat',
  'on',
  'Mat',
  '3.5',
  'end.',
  'e\u0301',
  '😀',
  '\n',
  '\u0085',
)
const text = fc.oneof(
  fc.array(word, { maxLength: 12 }).map((words) => words.join(' ')),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
)
const references = fc.array(text, { minLength: 1, maxLength: 3 })
const corpus = fc.array(fc.tuple(text, references), { minLength: 1, maxLength: 6 })
/** Fixed, so that a run repeats itself; a failure prints the path to its counterexample. */
const RUNS = { seed: 20231, numRuns: 200 }
const metrics = [
  ...METRIC_NAMES.map(metricByName),
  bleu({ effectiveOrder: true }),
  f1({ emptyAnswers: 'match' }),
]

describe('metrics over any texts', () => {
  it('lie between 0 and 100, come from the sum of the statistics, and ignore the order of segments', () => {
    fc.assert(
      fc.property(corpus, (segments) => {
        const scoreOf = (list: typeof segments, metric = metrics[0]) =>
          metric.score(
            list.map(([hypothesis]) => hypothesis),
            list.map(([, refs]) => refs),
          )
        for (const metric of metrics) {
          const score = scoreOf(segments, metric)
          assert.ok(score >= 0 && score <= 100 + 1e-9, `${metric.name}: ${score}`)
          const rows = segments.map(([hypothesis, refs]) => metric.statistics(hypothesis, refs))
          assert.equal(new Set(rows.map((row) => row.length)).size, 1)
          assert.equal(metric.aggregate(sumStatistics(rows), rows.length), score)
          assert.ok(Math.abs(scoreOf([...segments].reverse(), metric) - score) < 1e-9)
        }
      }),
      RUNS,
    )
  })

  it('a further reference never lowers a sentence’s chrF, ROUGE, exact match, F1 or BLEU matches', () => {
    const best = [
      chrf(),
      chrf({ wordOrder: 2 }),
      rouge('rougeLsum'),
      rouge('rouge2', { stem: true }),
      exactMatch(),
      f1(),
    ]
    fc.assert(
      fc.property(text, references, text, (hypothesis, refs, further) => {
        for (const metric of best) {
          assert.ok(metric.score([hypothesis], [[...refs, further]]) >= metric.score([hypothesis], [refs]))
        }
        const before = bleu().statistics(hypothesis, refs).slice(2)
        const after = bleu()
          .statistics(hypothesis, [...refs, further])
          .slice(2)
        assert.ok(after.every((count, i) => count >= before[i]))
      }),
      RUNS,
    )
  })

  it('ROUGE’s precision is its recall with the texts exchanged, and the recall of L and Lsum at most that of 1', () => {
    fc.assert(
      fc.property(text, text, fc.boolean(), (a, b, stem) => {
        for (const type of ['rouge1', 'rouge2', 'rougeL'] as const) {
          const forth = computeRouge(a, [b], { type, stem })
          const back = computeRouge(b, [a], { type, stem })
          assert.deepEqual([forth.precision, forth.recall], [back.recall, back.precision])
        }
        const [one, l, lsum] = (['rouge1', 'rougeL', 'rougeLsum'] as const).map(
          (type) => computeRouge(a, [b], { type, stem }).recall,
        )
        assert.ok(l <= one && lsum <= one, `${l}, ${lsum} <= ${one}`)
      }),
      RUNS,
    )
  })

  it('tokens are free of white space, and tokenising drops nothing but white space (char, intl)', () => {
    fc.assert(
      fc.property(text, (line) => {
        const solid = splitWhiteSpace(line).join('')
        for (const tokenizer of ['char', 'intl'] as const) {
          const tokens = tokenizeText(line, tokenizer)
          assert.equal(tokens.join(''), solid)
          assert.ok(tokens.every((token) => splitWhiteSpace(token).length === 1))
        }
      }),
      RUNS,
    )
  })

  it('a paired comparison turns its sign with its systems', () => {
    const scores = fc.array(fc.tuple(fc.integer({ max: 9 }), fc.integer({ max: 9 })), {
      minLength: 1,
      maxLength: 9,
    })
    fc.assert(
      fc.property(scores, fc.integer(), (pairs, seed) => {
        const a = pairs.map(([score]) => [score])
        const b = pairs.map(([, score]) => [score])
        const forth = pairedBootstrap(meanScore, { a, b }, { seed, numResamples: 50 })
        const back = pairedBootstrap(meanScore, { a: b, b: a }, { seed, numResamples: 50 })
        assert.ok(Math.abs(forth.score + back.score) < 1e-9 * (1 + Math.abs(forth.score)))
        assert.ok(Math.abs(forth.low + back.high) < 1e-9 * (1 + Math.abs(forth.low)))
        assert.ok(Math.abs(forth.shareNotBetter - (1 - back.shareWorse)) < 1e-12)
        assert.equal(forth.pValue, back.pValue)
        assert.ok(forth.low <= forth.high && forth.pValue > 0 && forth.pValue <= 1)
      }),
      RUNS,
    )
  })

  it('segment statistics are those of each segment', () => {
    fc.assert(
      fc.property(corpus, (segments) => {
        const metric = chrf({ wordOrder: 2 })
        const rows = segmentStatistics(
          metric,
          segments.map(([hypothesis]) => hypothesis),
          segments.map(([, refs]) => refs),
        )
        assert.deepEqual(
          rows,
          segments.map(([hypothesis, refs]) => metric.statistics(hypothesis, refs)),
        )
      }),
      RUNS,
    )
  })
})
