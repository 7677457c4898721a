// The account of ONNX Runtime in `info`.
import assert from 'node:assert/strict'
import { describeOnnxRuntime } from '../../../src/engines/onnx/index.node.js'

describe('the account of ONNX Runtime', () => {
  it('tells the version that loads, or how to get one', async () => {
    const found = await describeOnnxRuntime()
    assert.equal(found.isPresent, true)
    assert.ok(found.detail.includes(`onnxruntime-node ${found.version}`))
    const missing = await describeOnnxRuntime(() => Promise.reject(new Error('Cannot find package')))
    assert.equal(missing.isPresent, false)
    assert.match(missing.detail, /npm install onnxruntime-node/)
    assert.equal(missing.version, undefined)
  })
})
