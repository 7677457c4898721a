// Exact match and F1 against the official SQuAD rules: all cases of squad.json.
import assert from 'node:assert/strict'
import { answerF1, answerMatches, exactMatch, f1, normalizeAnswer } from '../../src/metrics/index.js'
import { assertClose, readGolden } from './golden.js'

interface Golden {
  total: { exactMatch: number; f1: number; f1v2: number }
  cases: { prediction: string; golds: string[]; normalized: string; exact: 0 | 1; f1: number; f1v2: number }[]
}

describe('SQuAD answers', () => {
  const golden = readGolden<Golden>('squad.json')
  const predictions = golden.cases.map((row) => row.prediction)
  const answers = golden.cases.map((row) => row.golds)

  it('normalises all 264 predictions as the official script does', () => {
    assert.equal(golden.cases.length, 264)
    for (const { prediction, normalized } of golden.cases) {
      assert.equal(normalizeAnswer(prediction), normalized, JSON.stringify(prediction))
    }
  })

  it('gives all 264 cases the official exact match and F1, v1.1 and v2.0, best over the answers', () => {
    for (const { prediction, golds, ...expected } of golden.cases) {
      const what = JSON.stringify([prediction, golds])
      const [em, zero, match] = [exactMatch(), f1(), f1({ emptyAnswers: 'match' })]
      assert.deepEqual(em.statistics(prediction, golds), [expected.exact], what)
      assertClose(zero.statistics(prediction, golds), [expected.f1], `${what} v1.1`)
      assertClose(match.statistics(prediction, golds), [expected.f1v2], `${what} v2.0`)
    }
  })

  it('has the official totals in per cent', () => {
    assertClose(exactMatch().score(predictions, answers), golden.total.exactMatch, 'exact match')
    assertClose(f1().score(predictions, answers), golden.total.f1, 'F1 v1.1')
    assertClose(f1({ emptyAnswers: 'match' }).score(predictions, answers), golden.total.f1v2, 'F1 v2.0')
  })

  it('takes an article for a word only between Unicode word boundaries', () => {
    assert.equal(normalizeAnswer('aé thé éa the'), 'aé thé éa')
    assert.equal(answerMatches('The  cat', 'cat!'), 1)
    assert.equal(answerF1('a cat', 'cat dog'), 2 / 3)
  })
})
