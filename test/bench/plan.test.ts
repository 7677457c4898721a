// What is measured together: combinations that exist, groups that fit into memory, and full decoding to compare with.
import assert from 'node:assert/strict'
import { engineOptions, groupEngines, planCells, planEngines } from '../../bench/decode/plan.js'
import { checkEngineOptions } from '../../src/pipeline/index.node.js'

const everything = planEngines({
  engines: ['tfjs:wasm', 'tfjs:node', 'onnx'],
  dtypes: ['float32', 'int8', 'q4'],
  threads: [1, 2],
})

describe('engines to measure', () => {
  it('are all that can be had in one process; what cannot is told with its reason', () => {
    assert.deepEqual(
      everything.engines.map(({ target, dtype, threads }) => `${target} ${dtype} ${threads}`),
      [
        'tfjs:wasm float32 1',
        'tfjs:wasm int8 1',
        'tfjs:node float32 1',
        ...['onnx float32 1', 'onnx float32 2', 'onnx int8 1', 'onnx int8 2', 'onnx q4 1', 'onnx q4 2'],
      ],
    )
    assert.deepEqual(everything.leftOut, [
      'tfjs:wasm with threads 2: a process has one number of them, here 1',
      'tfjs:node with threads 2: a process has one number of them, here 1',
    ])
    const none = planEngines({ engines: ['tfjs:wasm'], dtypes: ['q4'], threads: [2] })
    assert.deepEqual(none, { engines: [], leftOut: ['tfjs:wasm: computes in float32 and int8 only'] })
  })

  it('are ones that can be opened', () => {
    for (const engine of everything.engines) checkEngineOptions(engineOptions(engine))
  })

  it('share the memory as long as there is room, and never two backends of tfjs', () => {
    const sizes = (budgetBytes: number) =>
      groupEngines(everything.engines, { weightBytes: 100, budgetBytes }).map(({ length }) => length)
    assert.deepEqual(sizes(1e6), [2, 7])
    // Three engines of 250 fit.
    assert.deepEqual(sizes(900), [2, 3, 3, 1])
    assert.deepEqual(sizes(10), [1, 1, 1, 1, 1, 1, 1, 1, 1])
    assert.deepEqual(groupEngines(everything.engines, { weightBytes: 1, budgetBytes: 1e6 }).flat(), [
      ...everything.engines,
    ])
  })
})

describe('ways to decode', () => {
  it('have full decoding at each batch size, once, and exits only where they matter', () => {
    const cells = planCells({ policies: ['static', 'full', 'free'], exits: [0, 0.9], batchSizes: [1, 8] })
    assert.deepEqual(
      cells.map(({ policy, exits, batchSize }) => `${policy} ${exits} ${batchSize}`),
      [1, 8].flatMap((size) => [
        `full null ${size}`,
        `static null ${size}`,
        `free 0 ${size}`,
        `free 0.9 ${size}`,
      ]),
    )
    assert.deepEqual(planCells({ policies: ['free'], exits: ['model'], batchSizes: [1] })[0].policy, 'full')
  })
})
