// BLEU against sacreBLEU 2.6.0: all segments and corpora of bleu-chrf.json.
import assert from 'node:assert/strict'
import {
  bleu,
  computeBleu,
  describeMetric,
  segmentStatistics,
  sentenceBleu,
  sumStatistics,
  tokenizeText,
  type BleuOptions,
  type BleuScore,
  type BleuSmoothing,
} from '../../src/metrics/index.js'
import { assertClose, readGolden, withoutVersion } from './golden.js'

interface GoldenScore {
  score: number
  counts: number[]
  totals: number[]
  precisions: number[]
  bp: number
  sysLen: number
  refLen: number
}
interface Golden {
  segments: {
    candidate: string
    references: string[]
    tokens13a: string
    tokensIntl: string
    bleu: Record<'13a' | 'intl' | 'char', GoldenScore>
    bleuNoEffectiveOrder: number
    bleuLowercase: number
    bleuSmooth: Record<'floor' | 'add-k' | 'none', number>
  }[]
  corpora: (Record<string, GoldenScore & { signature: string }> & { segments: number[] })[]
}

const TOKENIZERS = ['13a', 'intl', 'char'] as const

function assertParts(actual: BleuScore, expected: GoldenScore, what: string): void {
  assertClose(actual.score, expected.score, `${what} score`)
  assert.deepEqual(actual.counts, expected.counts, `${what} counts`)
  assert.deepEqual(actual.totals, expected.totals, `${what} totals`)
  assertClose(actual.precisions, expected.precisions, `${what} precisions`)
  assertClose(actual.brevityPenalty, expected.bp, `${what} brevity penalty`)
  assert.equal(actual.hypothesisLength, expected.sysLen, `${what} length`)
  assert.equal(actual.referenceLength, expected.refLen, `${what} reference length`)
}

describe('BLEU', () => {
  const golden = readGolden<Golden>('bleu-chrf.json')

  it('has sacreBLEU’s tokens on all 233 candidates', () => {
    assert.equal(golden.segments.length, 233)
    for (const { candidate, tokens13a, tokensIntl } of golden.segments) {
      assert.equal(tokenizeText(candidate, '13a').join(' '), tokens13a, JSON.stringify(candidate))
      assert.equal(tokenizeText(candidate, 'intl').join(' '), tokensIntl, JSON.stringify(candidate))
    }
  })

  for (const tokenizer of TOKENIZERS) {
    it(`scores all 233 sentences as sacreBLEU does, with all parts: ${tokenizer}, effective order`, () => {
      const options: BleuOptions = { tokenizer, effectiveOrder: true }
      for (const { candidate, references, bleu: expected } of golden.segments) {
        const parts = computeBleu(bleu(options).statistics(candidate, references), options)
        assertParts(parts, expected[tokenizer], JSON.stringify(candidate))
        assert.equal(bleu(options).score([candidate], [references]), parts.score)
      }
    })
  }

  it('of sentences is the mean of what sacreBLEU gives the 233 of them, with each tokenizer', () => {
    for (const tokenizer of TOKENIZERS) {
      const metric = sentenceBleu({ tokenizer })
      for (const { candidate, references, bleu: expected } of golden.segments) {
        const [score] = metric.statistics(candidate, references)
        assertClose(score, expected[tokenizer].score, JSON.stringify(candidate))
      }
      const mean = golden.segments.reduce((sum, segment) => sum + segment.bleu[tokenizer].score, 0) / 233
      const texts = golden.segments.map(({ candidate }) => candidate)
      const references = golden.segments.map((segment) => segment.references)
      assertClose(metric.score(texts, references), mean, tokenizer)
    }
    assert.deepEqual(
      TOKENIZERS.map((tokenizer) => sentenceBleu({ tokenizer }).name),
      ['bleu-sentence', 'bleu-intl-sentence', 'bleu-char-sentence'],
    )
  })

  it('scores all 233 sentences as sacreBLEU does without effective order, in lower case, with each smoothing', () => {
    for (const segment of golden.segments) {
      const score = (options: BleuOptions) => bleu(options).score([segment.candidate], [segment.references])
      const what = JSON.stringify(segment.candidate)
      assertClose(score({}), segment.bleuNoEffectiveOrder, `${what} no effective order`)
      assertClose(
        score({ effectiveOrder: true, lowercase: true }),
        segment.bleuLowercase,
        `${what} lowercase`,
      )
      for (const [smoothing, expected] of Object.entries(segment.bleuSmooth)) {
        assertClose(
          score({ effectiveOrder: true, smoothing: smoothing as BleuSmoothing }),
          expected,
          `${what} ${smoothing}`,
        )
      }
    }
  })

  it('scores all 16 corpora as sacreBLEU does, with all parts and the signature', () => {
    let numChecked = 0
    for (const corpus of golden.corpora) {
      const hypotheses = corpus.segments.map((i) => golden.segments[i].candidate)
      const references = corpus.segments.map((i) => golden.segments[i].references)
      for (const tokenizer of TOKENIZERS) {
        const expected = corpus[`bleu-${tokenizer}`]
        if (expected === undefined) continue
        const metric = bleu({ tokenizer })
        const sums = sumStatistics(segmentStatistics(metric, hypotheses, references))
        assertParts(computeBleu(sums, { tokenizer }), expected, expected.signature)
        assertClose(metric.score(hypotheses, references), expected.score, expected.signature)
        assert.equal(withoutVersion(describeMetric(metric, references)), withoutVersion(expected.signature))
        numChecked++
      }
    }
    assert.equal(numChecked, 15 * 3 + 1)
  })

  it('says in its signature what a smoothing adds', () => {
    assert.match(
      bleu({ smoothing: 'floor' }).signature,
      /^case:mixed\|eff:no\|tok:13a\|smooth:floor\[0\.10\]\|version:/,
    )
    assert.match(bleu({ smoothing: 'add-k', smoothingValue: 0.25 }).signature, /smooth:add-k\[0\.25\]/)
  })

  it('is exactly 0 when no word matches, however smoothed', () => {
    for (const smoothing of ['exp', 'floor', 'add-k', 'none'] as const) {
      assert.equal(bleu({ smoothing, effectiveOrder: true }).score(['a b c d'], [['w x y z']]), 0)
    }
  })
})
