// The choice of a depth as plain text.
import assert from 'node:assert/strict'
import type { DepthChoice, DepthRow } from '../../src/evaluation/index.js'
import { displayWidth } from '../../src/report/displayWidth.js'
import { depthTable, describeDepthChoice } from '../../src/report/index.js'

const row = (layer: number, speedup: number, speedupLimit: number): DepthRow => ({
  layer,
  agreement: 0.9,
  thresholds: [0.5, 0.9].map((threshold) => ({ threshold, exitShare: 1 - threshold, agreement: 1 })),
  threshold: 0.24,
  exitShare: 0.79,
  exitAgreement: 0.98,
  shallowMs: 0.5,
  deepMs: 2.15,
  cost: { msPerToken: 1.1, flushesPerToken: 0.21, meanFlushSize: 3.3 },
  speedup,
  speedupLimit,
})
const choice: DepthChoice = {
  shallowLayers: 2,
  basis: 'threshold',
  decoderLayers: 12,
  sequences: 40,
  tokens: 452,
  fullMs: 3.01,
  minAgreement: 0.98,
  confidence: 'top2-gap',
  rows: Array.from({ length: 11 }, (_, i) => row(i + 1, i === 1 ? 2.71 : 1.5, 3)),
}

describe('table of depths', () => {
  it('has a line a layer, the chosen one with a star, in at most 80 columns', () => {
    const lines = depthTable(choice).split('\n')
    for (const line of lines) assert.ok(displayWidth(line) <= 80, line)
    const starred = lines.filter((line) => line.includes('*'))
    assert.equal(starred.length, 1)
    assert.deepEqual(starred[0].trim().split(/ +/), [
      ...['2', '*', '90.0%', '50.0%', '10.0%', '0.24', '79.0%', '0.50', '2.15', '3.3', '2.71×', '3.00×'],
    ])
    assert.match(lines[0] + lines[1], /exits.*> 0\.5.*> 0\.9/)
  })

  it('gives its reason in one sentence, by the basis of the choice', () => {
    assert.equal(
      describeDepthChoice(choice)[0],
      'Shallow exit after 2 of 12 layers: above a confidence of 0.24 79% of the tokens leave there, ' +
        'which makes decoding 2.71× as fast, more than at any other layer.',
    )
    const limited = describeDepthChoice({ ...choice, basis: 'limit' })[0]
    assert.match(
      limited,
      /^Shallow exit after 2 of 12 layers: no layer is sure of enough tokens of which 98% agree /,
    )
    assert.match(limited, /here 90% agree, .* 3\.00× as fast, .* Train the exit, then calibrate\.$/)
    const hopeless = describeDepthChoice({
      ...choice,
      basis: 'limit',
      rows: [row(1, 0.8, 0.8), row(2, 0.9, 0.9)],
    })
    assert.match(hopeless[0], /, though nothing can be gained yet: .* Train the exit, then choose again\.$/)
  })
})
