// What all metrics have in common: names, signatures, checked inputs; and the agreement of exits.
import assert from 'node:assert/strict'
import {
  describeMetric,
  exitAgreement,
  METRIC_NAMES,
  metricByName,
  METRICS_VERSION,
} from '../../src/metrics/index.js'

describe('every metric', () => {
  it('is known by its own name and says its version', () => {
    assert.equal(METRIC_NAMES.length, 16)
    for (const name of METRIC_NAMES) {
      const metric = metricByName(name)
      assert.equal(metric.name, name)
      assert.ok(metric.signature.endsWith(`|version:${METRICS_VERSION}`))
      assert.match(metric.signature, /^(?:[a-z]+:[^|:]+\|)+version:[^|:]+$/)
    }
  })

  it('has the settings that its name says', () => {
    const signatureOf = (name: string) => metricByName(name).signature
    for (const tokenizer of ['intl', 'char']) {
      assert.match(signatureOf(`bleu-${tokenizer}`), new RegExp(`\\|tok:${tokenizer}\\|`))
    }
    for (const type of ['rouge1', 'rouge2', 'rougeL', 'rougeLsum']) {
      assert.match(signatureOf(type), /\|stem:no\|/)
      assert.match(signatureOf(`${type}-stem`), /\|stem:porter\|/)
    }
    assert.match(signatureOf('bleu-sentence'), /\|eff:yes\|.*\|mean:sentence\|/)
  })

  it('gives 100 to a text that is its own reference, and 0 to one that shares nothing', () => {
    for (const name of METRIC_NAMES) {
      const metric = metricByName(name)
      const same = metric.score(['some longer words here'], [['some longer words here']])
      assert.ok(Math.abs(same - 100) < 1e-9, name)
      assert.equal(metric.score(['bbb'], [['ccc']]), 0, name)
    }
  })

  it('refuses no segments, unequal numbers, and a segment without references, naming it', () => {
    for (const name of METRIC_NAMES) {
      const metric = metricByName(name)
      assert.throws(() => metric.score([], []), { code: 'metrics.no-segments' })
      assert.throws(() => metric.score(['a'], []), { code: 'metrics.length-mismatch' })
      assert.throws(() => metric.score(['a', 'b'], [['a'], []]), {
        code: 'metrics.no-references',
        details: { segment: 1 },
      })
      assert.throws(() => metric.statistics('a', []), { code: 'metrics.no-references' })
    }
  })

  it('an unknown name is an error that names the near miss', () => {
    assert.throws(() => metricByName('rougel'), {
      code: 'metrics.unknown-metric',
      hint: 'Did you mean rougeL?',
    })
    assert.throws(() => metricByName('toString'), { code: 'metrics.unknown-metric' })
  })
})

describe('the full signature', () => {
  it('begins with the number of references, or var where it varies', () => {
    const metric = metricByName('bleu')
    const tail = `case:mixed|eff:no|tok:13a|smooth:exp|version:${METRICS_VERSION}`
    assert.equal(describeMetric(metric, [['a', 'b']]), `nrefs:2|${tail}`)
    assert.equal(describeMetric(metric, [['a', 'b'], ['c']]), `nrefs:var|${tail}`)
  })
})

describe('exit agreement', () => {
  it('is the share of equal choices, and null of none', () => {
    assert.equal(exitAgreement([1, 2, 3, 4], Int32Array.of(1, 2, 0, 4)), 0.75)
    assert.equal(exitAgreement([], []), null)
  })

  it('refuses lists of unequal lengths', () => {
    assert.throws(() => exitAgreement([1], [1, 2]), { code: 'metrics.length-mismatch' })
  })
})
