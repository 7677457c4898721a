// All metrics against their reference implementations on 300 random strings of white space that Python and JavaScript
// see differently, entities, casing, astral characters and Unicode punctuation, under settings and corpora that the
// other vectors leave out.
import assert from 'node:assert/strict'
import {
  bleu,
  chrf,
  describeMetric,
  exactMatch,
  f1,
  normalizeAnswer,
  rouge,
  ROUGE_TYPES,
  tokenizeText,
  type BleuSmoothing,
  type Metric,
  type RougeType,
  type TextTokenizerName,
} from '../../src/metrics/index.js'
import { assertClose, readGolden, withoutVersion } from './golden.js'

interface Golden {
  segments: {
    candidate: string
    references: string[]
    tokens: Record<TextTokenizerName, string>
    normalized: string
    rouge: Record<'plain' | 'stemmed', Record<RougeType, number>>
    exact: number
    f1: number
    f1v2: number
    bleu: Record<string, number>
    chrf: Record<string, number>
  }[]
  corpora: {
    segments: number[]
    bleu: Record<string, [score: number, signature: string]>
    chrf: Record<string, [score: number, signature: string]>
  }[]
}

/** From a key of the vectors: tokenizer, smoothing, case, effective order, and the smoothing's value if it has one. */
function bleuOf(key: string): Metric {
  const [tokenizer, smoothing, letters, order, value] = key.split('|')
  return bleu({
    tokenizer: tokenizer as TextTokenizerName,
    smoothing: smoothing as BleuSmoothing,
    smoothingValue: value === undefined ? undefined : Number(value),
    lowercase: letters === 'lc',
    effectiveOrder: order === 'yes',
  })
}

/** From a key of the vectors: character order, word order, beta, case. */
function chrfOf(key: string): Metric {
  const [characterOrder, wordOrder, beta] = key.split('|').map(Number)
  return chrf({ characterOrder, wordOrder, beta, lowercase: key.endsWith('lc') })
}

describe('metrics on trap strings', () => {
  const golden = readGolden<Golden>('traps.json')

  it('tokenise and normalise all 300 texts as the references do', () => {
    assert.equal(golden.segments.length, 300)
    for (const { candidate, tokens, normalized } of golden.segments) {
      for (const [tokenizer, expected] of Object.entries(tokens)) {
        const actual = tokenizeText(candidate, tokenizer as TextTokenizerName).join(' ')
        assert.equal(actual, expected, `${tokenizer} ${JSON.stringify(candidate)}`)
      }
      assert.equal(normalizeAnswer(candidate), normalized, JSON.stringify(candidate))
    }
  })

  it('score all 300 segments as the references do', () => {
    let numBleu = 0
    let numChrf = 0
    for (const segment of golden.segments) {
      const { candidate, references } = segment
      const check = (metric: Metric, expected: number) =>
        assertClose(
          metric.score([candidate], [references]),
          expected,
          `${metric.signature} ${JSON.stringify(candidate)}`,
        )
      for (const type of ROUGE_TYPES) {
        check(rouge(type), 100 * segment.rouge.plain[type])
        check(rouge(type, { stem: true }), 100 * segment.rouge.stemmed[type])
      }
      check(exactMatch(), 100 * segment.exact)
      check(f1(), 100 * segment.f1)
      check(f1({ emptyAnswers: 'match' }), 100 * segment.f1v2)
      for (const [key, expected] of Object.entries(segment.bleu)) {
        check(bleuOf(key), expected)
        numBleu++
      }
      for (const [key, expected] of Object.entries(segment.chrf)) {
        check(chrfOf(key), expected)
        numChrf++
      }
    }
    assert.equal(numBleu, 300 * 12 + 30 * (50 - 12))
    assert.equal(numChrf, 300 * 6)
  })

  it('score 4 corpora under 50 settings of BLEU and 6 of chrF as sacreBLEU does, with its signatures', () => {
    for (const corpus of golden.corpora) {
      const hypotheses = corpus.segments.map((i) => golden.segments[i].candidate)
      const references = corpus.segments.map((i) => golden.segments[i].references)
      const check = (metric: Metric, [expected, signature]: [number, string]) => {
        assertClose(metric.score(hypotheses, references), expected, signature)
        const ours = describeMetric(metric, references).replace(/\|beta:\d+/, '')
        assert.equal(withoutVersion(ours), withoutVersion(signature))
      }
      assert.equal(Object.keys(corpus.bleu).length, 50)
      assert.equal(Object.keys(corpus.chrf).length, 6)
      for (const [key, expected] of Object.entries(corpus.bleu)) check(bleuOf(key), expected)
      for (const [key, expected] of Object.entries(corpus.chrf)) check(chrfOf(key), expected)
    }
  })
})
