// Laws of batching over random examples: nothing lost, nothing twice, all from (seed, epoch), labels and inputs aligned.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  IGNORED_LABEL,
  makeBatches,
  numBatches,
  planBatches,
  splitBatch,
  type EncodedExample,
} from '../../src/data/index.js'

const PAD = 0
const EOS = 1
const START = 7

const ids = fc
  .array(fc.integer({ min: 2, max: 50 }), { maxLength: 9 })
  .map((tokens) => Int32Array.from([...tokens, EOS]))
const examples: fc.Arbitrary<EncodedExample[]> = fc.array(fc.record({ source: ids, target: ids }), {
  maxLength: 40,
})
const plan = fc.record({
  batchSize: fc.integer({ min: 1, max: 9 }),
  seed: fc.integer({ min: 0, max: 1000 }),
  epoch: fc.integer({ min: 0, max: 20 }),
  bucketWindow: fc.integer({ min: 1, max: 5 }),
})
const SPECIAL = { padId: PAD, decoderStartId: START }
const RUNS = { numRuns: 300 }

describe('batching, laws', () => {
  it('every example comes exactly once an epoch, in as many batches as numBatches says, one of them smaller', () => {
    fc.assert(
      fc.property(examples, plan, (data, options) => {
        const batches = [...makeBatches(data, { ...options, ...SPECIAL })]
        assert.equal(batches.length, numBatches(data.length, options.batchSize))
        const seen = batches.flatMap((batch) => [...batch.indices]).sort((a, b) => a - b)
        assert.deepEqual(
          seen,
          data.map((_, i) => i),
        )
        const small = batches.filter((batch) => batch.batchSize !== options.batchSize)
        assert.ok(small.length <= 1)
        for (const { batchSize, indices } of batches) assert.equal(indices.length, batchSize)
      }),
      RUNS,
    )
  })

  it('rows hold the sources, the labels and the labels shifted right, padded to the longest row of the batch', () => {
    fc.assert(
      fc.property(examples, plan, (data, options) => {
        for (const batch of makeBatches(data, { ...options, ...SPECIAL })) {
          const { sourceLength: M, targetLength: T, indices } = batch
          const rows = [...indices].map((index) => data[index])
          assert.equal(M, Math.max(...rows.map(({ source }) => source.length)))
          assert.equal(T, Math.max(...rows.map(({ target }) => target.length)))
          assert.equal(batch.sources.length, rows.length * M)
          assert.equal(batch.labels.length, rows.length * T)
          rows.forEach(({ source, target }, r) => {
            const labels = [...target, ...new Array<number>(T - target.length).fill(IGNORED_LABEL)]
            const inputs = [START, ...labels.slice(0, -1)].map((label) =>
              label === IGNORED_LABEL ? PAD : label,
            )
            const sources = [...source, ...new Array<number>(M - source.length).fill(PAD)]
            assert.deepEqual([...batch.sources.subarray(r * M, (r + 1) * M)], sources)
            assert.deepEqual([...batch.labels.subarray(r * T, (r + 1) * T)], labels)
            assert.deepEqual([...batch.decoderInputs.subarray(r * T, (r + 1) * T)], inputs)
          })
          assert.equal(batch.decoderInputs.length, batch.labels.length)
          assert.equal(
            batch.numTokens,
            rows.reduce((sum, { target }) => sum + target.length, 0),
          )
        }
      }),
      RUNS,
    )
  })

  it('the same seed and epoch give the same batches, also from the middle on', () => {
    fc.assert(
      fc.property(examples, plan, fc.nat({ max: 12 }), (data, options, firstBatch) => {
        const all = [...makeBatches(data, { ...options, ...SPECIAL })]
        assert.deepEqual(
          [...makeBatches(data, { ...options, ...SPECIAL, firstBatch })],
          all.slice(firstBatch),
        )
      }),
      RUNS,
    )
  })

  it('the padding share is what the batches hold', () => {
    fc.assert(
      fc.property(examples, plan, (data, options) => {
        let numPositions = 0
        let numPadding = 0
        for (const { sources, labels } of makeBatches(data, { ...options, ...SPECIAL })) {
          numPositions += sources.length + labels.length
          numPadding += sources.filter((id) => id === PAD).length
          numPadding += labels.filter((id) => id === IGNORED_LABEL).length
        }
        const expected = numPositions === 0 ? 0 : numPadding / numPositions
        assert.ok(Math.abs(planBatches(data, options).paddingShare - expected) < 1e-12)
      }),
      RUNS,
    )
  })

  it('within a window batches do not overlap in (target, source) length', () => {
    fc.assert(
      fc.property(examples, plan, (data, options) => {
        // One window holds all.
        const { batches } = planBatches(data, { ...options, bucketWindow: 40 })
        const key = (index: number) => data[index].target.length * 100 + data[index].source.length
        const spans = batches.map((batch) => [...batch].map(key))
        const sorted = spans.sort((a, b) => a[0] - b[0] || a[a.length - 1] - b[b.length - 1]).flat()
        assert.deepEqual(
          sorted,
          [...sorted].sort((a, b) => a - b),
        )
      }),
      RUNS,
    )
  })

  it('the parts of a batch are its rows in order, within the bound or of one row', () => {
    fc.assert(
      fc.property(examples, plan, fc.integer({ min: 1, max: 120 }), (data, options, maxTokens) => {
        for (const batch of makeBatches(data, { ...options, ...SPECIAL })) {
          const parts = splitBatch(batch, maxTokens)
          for (const { batchSize, sourceLength, targetLength } of parts) {
            assert.deepEqual([sourceLength, targetLength], [batch.sourceLength, batch.targetLength])
            assert.ok(batchSize === 1 || batchSize * (sourceLength + targetLength) <= maxTokens)
          }
          for (const key of ['sources', 'decoderInputs', 'labels', 'indices'] as const) {
            assert.deepEqual(
              parts.flatMap((part) => [...part[key]]),
              [...batch[key]],
            )
          }
          for (const key of ['batchSize', 'numTokens'] as const) {
            assert.equal(
              parts.reduce((sum, part) => sum + part[key], 0),
              batch[key],
            )
          }
        }
      }),
      RUNS,
    )
  })
})
