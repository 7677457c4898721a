// Batching of one larger set: less padding than without buckets, another order each epoch, quick enough, options checked.
import assert from 'node:assert/strict'
import { makeBatches, numBatches, planBatches, type EncodedExample } from '../../src/data/index.js'
import { Random } from '../../src/random.js'

/** Pairs whose lengths are spread and correlated, as those of sentence pairs. */
function pairs(count: number): EncodedExample[] {
  const random = new Random(5)
  return Array.from({ length: count }, () => {
    const length = 2 + random.integer(20)
    return { source: new Int32Array(length + random.integer(4)), target: new Int32Array(length) }
  })
}

const OPTIONS = { batchSize: 32, seed: 1, epoch: 0 }

describe('batching', () => {
  const data = pairs(5000)

  it('buckets leave a small share of padding, no buckets a large one', () => {
    const bucketed = planBatches(data, OPTIONS).paddingShare
    const random = planBatches(data, { ...OPTIONS, bucketWindow: 1 }).paddingShare
    assert.ok(bucketed < 0.08, `with buckets ${bucketed}`)
    assert.ok(random > 0.3, `without ${random}`)
  })

  it('each epoch and each seed has an order of its own, and batches do not come sorted by length', () => {
    const first = (options: object) => [...planBatches(data, { ...OPTIONS, ...options }).batches[0]].join()
    const orders = [{}, { epoch: 1 }, { epoch: 2 }, { seed: 2 }, { seed: 2, epoch: 1 }].map(first)
    assert.equal(new Set(orders).size, orders.length)
    const lengths = planBatches(data, OPTIONS).batches.map((batch) => data[batch[0]].target.length)
    const numRising = lengths.filter((length, i) => i > 0 && length >= lengths[i - 1]).length
    assert.ok(
      numRising > 0.3 * lengths.length && numRising < 0.7 * lengths.length,
      `${numRising} of ${lengths.length}`,
    )
  })

  it('which examples share a batch differs from epoch to epoch', () => {
    const groups = (epoch: number) =>
      new Set(
        planBatches(data, { ...OPTIONS, epoch }).batches.map((batch) =>
          [...batch].sort((a, b) => a - b).join(),
        ),
      )
    const [a, b] = [groups(0), groups(1)]
    assert.equal([...a].filter((group) => b.has(group)).length, 0)
  })

  it('batches are made as they are taken', () => {
    let numRead = 0
    const watched = data.slice(0, 320).map(({ source, target }) => ({
      target,
      get source() {
        numRead++
        return source
      },
    }))
    const batches = makeBatches(watched, { ...OPTIONS, padId: 0, decoderStartId: 0 })
    batches.next()
    const afterFirst = numRead
    batches.next()
    // Planning reads each length a fixed number of times; a batch then costs its own rows only.
    assert.ok(numRead - afterFirst <= 2 * OPTIONS.batchSize)
  })

  it('sizes that are no positive whole numbers are errors', () => {
    for (const options of [{ batchSize: 0 }, { batchSize: 1.5 }, { batchSize: NaN }, { bucketWindow: 0 }]) {
      assert.throws(() => planBatches(data, { ...OPTIONS, ...options }), { code: 'data.bad-batching' })
    }
  })

  it('no examples make no batches', () => {
    assert.equal(numBatches(0, 8), 0)
    assert.deepEqual(planBatches([], OPTIONS), { batches: [], paddingShare: 0 })
  })
})
