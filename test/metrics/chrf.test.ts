// chrF and chrF++ against sacreBLEU 2.6.0: all segments and corpora of bleu-chrf.json.
import assert from 'node:assert/strict'
import { chrf, describeMetric } from '../../src/metrics/index.js'
import { assertClose, readGolden, withoutVersion } from './golden.js'

interface GoldenCorpus {
  segments: number[]
  chrf?: { score: number; signature: string }
  chrfpp?: { score: number; signature: string }
}
interface Golden {
  segments: { candidate: string; references: string[]; chrf: number; chrfpp: number }[]
  corpora: GoldenCorpus[]
}

describe('chrF', () => {
  const golden = readGolden<Golden>('bleu-chrf.json')

  for (const key of ['chrf', 'chrfpp'] as const) {
    const metric = chrf({ wordOrder: key === 'chrfpp' ? 2 : 0 })

    it(`${metric.name} scores all 233 sentences as sacreBLEU does`, () => {
      assert.equal(golden.segments.length, 233)
      for (const segment of golden.segments) {
        const score = metric.score([segment.candidate], [segment.references])
        assertClose(score, segment[key], JSON.stringify(segment.candidate))
      }
    })

    it(`${metric.name} scores all 15 corpora as sacreBLEU does, with the signature`, () => {
      let numChecked = 0
      for (const corpus of golden.corpora) {
        const expected = corpus[key]
        if (expected === undefined) continue
        const references = corpus.segments.map((i) => golden.segments[i].references)
        const score = metric.score(
          corpus.segments.map((i) => golden.segments[i].candidate),
          references,
        )
        assertClose(score, expected.score, expected.signature)
        assert.equal(withoutVersion(describeMetric(metric, references)), withoutVersion(expected.signature))
        numChecked++
      }
      assert.equal(numChecked, 15)
    })
  }

  it('names another beta in its signature, which sacreBLEU puts into the name', () => {
    assert.match(chrf({ beta: 3 }).signature, /\|beta:3\|version:/)
    assert.doesNotMatch(chrf().signature, /beta/)
  })

  it('counts code points: an emoji is one character', () => {
    // One of two characters matches in one order: precision and recall 1/2 (bigrams: 0).
    assertClose(chrf({ characterOrder: 1 }).score(['😀x'], [['😀y']]), 50, 'emoji')
  })
})
