// ROUGE against rouge-score 0.1.2: all of rouge.json and rouge-tokens.json.
import assert from 'node:assert/strict'
import {
  computeRouge,
  ROUGE_TYPES,
  rouge,
  tokenizeForRouge,
  type RougeType,
} from '../../src/metrics/index.js'
import { assertClose, readGolden } from './golden.js'

type Scores = Record<RougeType, [precision: number, recall: number, fMeasure: number]>
interface Golden {
  mean: { plain: Scores; stemmed: Scores }
  pairs: { candidate: string; reference: string; plain: Scores; stemmed: Scores }[]
  multi: { candidate: string; references: string[]; plain: Scores; stemmed: Scores }[]
}

describe('ROUGE', () => {
  const golden = readGolden<Golden>('rouge.json')

  it('has rouge-score’s tokens on all 233 texts, plain and stemmed', () => {
    const { texts } = readGolden<{ texts: { text: string; plain: string[]; stemmed: string[] }[] }>(
      'rouge-tokens.json',
    )
    assert.equal(texts.length, 233)
    for (const { text, plain, stemmed } of texts) {
      assert.deepEqual(tokenizeForRouge(text, false), plain, JSON.stringify(text))
      assert.deepEqual(tokenizeForRouge(text, true), stemmed, JSON.stringify(text))
    }
  })

  for (const [kind, stem] of [
    ['plain', false],
    ['stemmed', true],
  ] as const) {
    for (const type of ROUGE_TYPES) {
      const compute = (candidate: string, references: string[]) => {
        const { precision, recall, fMeasure } = computeRouge(candidate, references, { type, stem })
        return [precision, recall, fMeasure]
      }

      it(`${type}, ${kind}: precision, recall and F of all 233 pairs are rouge-score’s`, () => {
        assert.equal(golden.pairs.length, 233)
        for (const pair of golden.pairs) {
          assertClose(
            compute(pair.candidate, [pair.reference]),
            pair[kind][type],
            JSON.stringify(pair.candidate),
          )
        }
      })

      it(`${type}, ${kind}: with several references all 60 take the best one`, () => {
        assert.equal(golden.multi.length, 60)
        for (const { candidate, references, ...expected } of golden.multi) {
          assertClose(compute(candidate, references), expected[kind][type], JSON.stringify(candidate))
        }
      })

      it(`${type}, ${kind}: the metric is the mean F in per cent, and the means are rouge-score’s`, () => {
        const score = rouge(type, { stem }).score(
          golden.pairs.map((pair) => pair.candidate),
          golden.pairs.map((pair) => [pair.reference]),
        )
        assertClose(score / 100, golden.mean[kind][type][2], 'F')
        const all = golden.pairs.map((pair) => compute(pair.candidate, [pair.reference]))
        const means = [0, 1, 2].map((i) => all.reduce((sum, scores) => sum + scores[i], 0) / all.length)
        assertClose(means, golden.mean[kind][type], 'means')
      })
    }
  }

  it('names type and stemming', () => {
    assert.equal(rouge('rougeLsum').name, 'rougeLsum')
    assert.match(rouge('rougeL', { stem: true }).signature, /\|stem:porter\|/)
    assert.match(rouge('rougeL').signature, /\|stem:no\|/)
  })
})
