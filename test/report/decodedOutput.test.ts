// From a line of `generate --json` to what the token views show.
import assert from 'node:assert/strict'
import type { RowResult } from '../../src/decoding/index.js'
import type { GeneratedLine } from '../../src/report/index.js'
import { toDecodedOutput, tokenView } from '../../src/report/index.js'
import { flushesOf } from '../../src/report/decodedOutput.js'
import { tokensOf } from './samples.js'

const line: GeneratedLine = {
  text: 'Two dogs',
  tokens: [11, 12, 1],
  exits: ['shallow', 'deep', 'shallow'],
  exitLayers: [2, 8, 2],
  confidences: [0.9, 0.2, null],
}

describe('decoded outputs', () => {
  it('join a generated line with the texts of its tokens', () => {
    const output = toDecodedOutput(line, { source: 'Zwei Hunde', pieces: ['Two', ' dogs', ''] })
    assert.deepEqual(output.tokens[1], { text: ' dogs', exit: 'deep', confidence: 0.2, exitLayer: 8 })
    assert.equal(tokenView(output).split('\n')[0], 'Two [dogs] ⏎')
  })

  it('take the result of a decoded row as well', () => {
    const accept = (row: RowResult): GeneratedLine => row
    assert.equal(accept.length, 1)
  })

  it('refuse lists of different lengths', () => {
    assert.throws(() => toDecodedOutput(line, { source: '', pieces: ['Two'] }), {
      code: 'report.length-mismatch',
      message: /pieces .* 3 tokens, got 1/,
    })
    assert.throws(() => toDecodedOutput({ ...line, exits: [] }, { source: '', pieces: ['a', 'b', 'c'] }), {
      details: { list: 'exits', expected: 3, got: 0 },
    })
  })

  it('a deep token flushes the shallow ones before it, each once', () => {
    assert.deepEqual(flushesOf(tokensOf('a b *c *d e')), [
      { first: 0, last: 2 },
      { first: 3, last: 3 },
    ])
    assert.deepEqual(flushesOf([]), [])
  })
})
