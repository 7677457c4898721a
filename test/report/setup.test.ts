// The line that says where, on what and how results were measured.
import assert from 'node:assert/strict'
import { describeSetup } from '../../src/report/index.js'
import { emptyRow } from './samples.js'

describe('the account of a setup', () => {
  it('names examples and engine, and only what is on of the rest', () => {
    assert.equal(describeSetup(emptyRow()), '3 examples; onnx, int8')
    const beams = { beams: 4, lengthPenalty: 0.6, earlyStopping: false }
    assert.equal(
      describeSetup(emptyRow({ selection: beams })),
      '3 examples; onnx, int8; beams 4, lengthPenalty 0.6',
    )
    const drawn = { temperature: 0.7, topK: null, topP: 0.9, seed: 0 }
    const last = { isFull: true, maxPending: null, msPerToken: 3, fullMsPerToken: 2, exitShare: 0.1 }
    const row = emptyRow({
      selection: drawn,
      isApproximate: true,
      profit: { full: 2, early: 1, trials: 0, last },
    })
    assert.equal(
      describeSetup(row),
      '3 examples; onnx, int8; temperature 0.7, topP 0.9, seed 0; lossless is approximate in int8; profit rule: full for 2 of 3',
    )
  })
})
