// Run as a child by backend.test.ts: a backend, once loaded, stays with its process. Takes a JSON list of options, asks
// chooseBackend for each in turn, computes on what it got, and prints what came of each as one JSON line.
import * as tf from '@tensorflow/tfjs'
import { activateWasm } from '../../../src/engines/tfjs/backend.js'
import { chooseBackend, describeBackends } from '../../../src/engines/tfjs/backend.node.js'
import type { NodeBackendOptions } from '../../../src/engines/tfjs/backend.node.js'
import { ShallowDeepError } from '../../../src/errors.js'

const calls = JSON.parse(process.argv[2]) as (NodeBackendOptions & {
  describe?: boolean
  wasmPath?: string
})[]
const outcomes: unknown[] = []
for (const { describe, wasmPath, ...options } of calls) {
  const listeners = process.listenerCount('unhandledRejection')
  try {
    const report = describe === true ? await describeBackends(options) : undefined
    const byPath = wasmPath === undefined ? undefined : await activateWasm(wasmPath, 'asked for')
    const chosen = report?.chosen ?? byPath ?? (await chooseBackend(options))
    const product = tf.tidy(() => {
      const rows = tf.tensor2d([1, 2, 3, 4], [2, 2])
      return Array.from(tf.concat([tf.matMul(rows, rows), tf.topk(rows, 1).indices.toFloat()], 1).dataSync())
    })
    outcomes.push({
      ...{ chosen, report, product, tfjsName: tf.getBackend(), numTensors: tf.memory().numTensors },
      listenersAdded: process.listenerCount('unhandledRejection') - listeners,
    })
  } catch (error) {
    if (!(error instanceof ShallowDeepError)) throw error
    const { code, message, hint, details } = error
    outcomes.push({ error: { code, message, hint, details }, tfjsName: tf.engine().backendName ?? null })
  }
}
console.log(JSON.stringify(outcomes))
