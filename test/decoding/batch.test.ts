// Many sources: batches in order, and when a calibrator learns from them.
import assert from 'node:assert/strict'
import type { Calibrator, Evidence } from '../../src/calibration/index.js'
import { decode, decodeAll, free, full } from '../../src/decoding/index.js'
import { byPosition, EOS, scriptedEngine } from './scriptedEngine.js'

/** A calibrator that writes down what it is given. */
class Recorder implements Calibrator {
  readonly name = 'recorder'
  readonly observed: (readonly Evidence[])[] = []
  constructor(
    public threshold: number,
    readonly isAdaptive: boolean,
    /** One sequence in this many is wanted. */
    private readonly every = 1,
  ) {}
  get diagnostics(): never {
    throw new Error('not asked for')
  }
  wantsEvidence(index: number): boolean {
    return this.isAdaptive && (this.observed.length + index) % this.every === 0
  }
  observe(evidence: readonly Evidence[]): void {
    this.observed.push([...evidence])
    this.threshold = 0
  }
  toJSON(): never {
    throw new Error('not asked for')
  }
}

describe('calibrators', () => {
  it('receive evidence in row order when the batch ends, whichever row ended first', async () => {
    const recorder = new Recorder(0.5, true)
    // Row 0 needs three tokens, row 1 one, row 2 two.
    const engine = scriptedEngine((row, tokens) => ({
      shallow: tokens.length === [3, 1, 2][row] ? EOS : 10 + row,
      confidence: 0.6 + row / 10,
      deep: 50,
    }))
    const ends: number[] = []
    for await (const event of decode(engine, [[EOS], [EOS], [EOS]], { policy: free(recorder) })) {
      if (event.type !== 'end') continue
      ends.push(event.row)
      assert.equal(event.result.threshold, 0.5)
      assert.equal(recorder.observed.length, ends.length === 3 ? 3 : 0)
    }
    assert.deepEqual(ends, [1, 2, 0])
    assert.deepEqual(
      recorder.observed.map((evidence) => evidence.length),
      [3, 1, 2],
    )
  })

  it('move the threshold for the next sequence, not within one', async () => {
    const recorder = new Recorder(1, true)
    const engine = byPosition([10, 0.9, 20], [11, 0.9, EOS])
    const results = await decodeAll(engine, [[EOS], [EOS]], { policy: free(recorder), maxNewTokens: 2 })
    assert.deepEqual(
      results.map(({ threshold, exits }) => [threshold, exits]),
      [
        [1, ['deep', 'deep']],
        [0, ['shallow', 'shallow']],
      ],
    )
  })

  it('are spared a flush at the end, and all biased evidence, where they want none; batched or not', async () => {
    // Every sequence has a lone deep token, then ends on the stack: evidence of its first positions alone is biased.
    const sources = [[EOS], [EOS], [EOS], [EOS], [EOS]]
    for (const batchSize of [1, 2, 5]) {
      const recorder = new Recorder(0.5, true, 3)
      const engine = byPosition([10, 0.1, 20], [11, 0.9, 21], [EOS, 0.9, EOS])
      const results = await decodeAll(engine, sources, {
        policy: free(recorder),
        thresholds: [0.5, 0.5, 0.5, 0.5, 0.5],
        batchSize,
      })
      assert.deepEqual(
        recorder.observed.map((evidence) => evidence.length),
        [3, 0, 0, 3, 0],
      )
      assert.deepEqual(
        results.map(({ flushes, pendingAtEnd }) => [flushes.length, pendingAtEnd]),
        [2, 1, 1, 2, 1].map((flushes) => [flushes, flushes === 2 ? 0 : 2]),
      )
      // Asked for, every end is flushed and everything observed; refused, none is, and what is wanted and there counts.
      for (const [flushAtEnd, numPoints] of [
        [true, [3, 3, 3, 3, 3]],
        [false, [1, 0, 0, 1, 0]],
      ] as const) {
        const asked = new Recorder(0.5, true, 3)
        await decodeAll(engine, sources, {
          policy: free(asked),
          thresholds: [0.5, 0.5, 0.5, 0.5, 0.5],
          flushAtEnd,
        })
        assert.deepEqual(
          asked.observed.map((evidence) => evidence.length),
          numPoints,
        )
      }
    }
  })

  it('get all evidence of the rows they want, and of these alone, though flushes take others along', async () => {
    const recorder = new Recorder(0.5, true, 3)
    const engine = byPosition([10, 0.9, 10], [11, 0.9, 21], [12, 0.1, 22], [EOS, 0.1, EOS])
    const sources = [[EOS], [EOS], [EOS], [EOS], [EOS]]
    const results = await decodeAll(engine, sources, { policy: free(recorder), batchSize: 5 })
    const positions = results.map(({ evidence }) => evidence.map(({ position }) => position))
    assert.deepEqual(positions, [[0, 1, 2, 3], [], [], [0, 1, 2, 3], []])
    assert.deepEqual(
      recorder.observed,
      results.map(({ evidence }) => evidence),
    )
  })

  it('learn nothing from a sequence that did not end', async () => {
    const recorder = new Recorder(0.5, true)
    const engine = byPosition([10, 0.1, 20], [11, 0.1, 21], [12, 0.1, 22])
    for await (const event of decode(engine, [[EOS]], { policy: free(recorder) })) {
      if (event.type === 'token' && event.position === 1) break
    }
    assert.deepEqual(recorder.observed, [])
    assert.deepEqual(engine.log.slice(-2), ['close', 'forget'])
  })

  it('have learned when the reader stops at the last end event', async () => {
    const recorder = new Recorder(0.5, true)
    for await (const event of decode(byPosition([EOS, 0.1, EOS]), [[EOS]], { policy: free(recorder) })) {
      if (event.type === 'end') break
    }
    assert.equal(recorder.observed.length, 1)
  })
})

describe('decodeAll', () => {
  const engine = scriptedEngine((_, tokens) => ({
    shallow: tokens.length === 2 ? EOS : 10,
    confidence: 0.9,
    deep: 20,
  }))

  it('decodes batch by batch, in order, with a threshold for each source', async () => {
    const thresholds = [0, 1, 0, 1, 0]
    const seen: number[] = []
    const results = await decodeAll(engine, Array(5).fill([EOS]), {
      policy: free(),
      thresholds,
      batchSize: 2,
      maxNewTokens: 2,
      onResult: (result, index) => {
        assert.equal(result.threshold, thresholds[index])
        seen.push(index)
      },
    })
    assert.deepEqual(
      results.map(({ tokens }) => tokens),
      thresholds.map((threshold) => (threshold === 0 ? [10, EOS] : [20, 20])),
    )
    assert.deepEqual(seen, [0, 1, 2, 3, 4])
    assert.equal(engine.log.filter((line) => line === 'encode').length, 3)
  })

  it('rejects a batch size that is none', async () => {
    for (const batchSize of [0, -1, 1.5, NaN]) {
      await assert.rejects(decodeAll(engine, [[EOS]], { policy: full(), batchSize }), {
        code: 'config.invalid-value',
      })
    }
  })

  it('of nothing is nothing', async () => {
    assert.deepEqual(await decodeAll(engine, [], { policy: full() }), [])
    for await (const event of decode(engine, [], { policy: full() })) assert.equal(event.type, 'encoded')
  })
})
