// Declares the tests of the reference implementation's beam search (test/golden/t5-parity, cases.json) for an engine: all
// hypotheses and scores.
import assert from 'node:assert/strict'
import type { ModelWeights } from '../../src/checkpoint/index.js'
import { beams, decodeAll, full, type DecoderEngine, type RowResult } from '../../src/decoding/index.js'
import {
  parityCaseNames,
  readParityBatches,
  readParityModel,
  type ParityBatch,
  type ParityBeams,
} from '../golden/parity.js'

interface Extent {
  readonly engineName: string
  /** Whether all vectors of a folder are searched; else those of one length penalty and early stopping. */
  readonly isComplete: boolean
}

/** The rows of a batch without their padding. */
export function sourcesOf({ input_ids, attention_mask }: ParityBatch): number[][] {
  return input_ids.map((row, r) => row.filter((_, i) => attention_mask[r][i] === 1))
}

/** Declares the tests for one engine, a test a folder. */
export function checkBeams(
  makeEngine: (model: ModelWeights) => DecoderEngine | Promise<DecoderEngine>,
  extent: Extent,
): void {
  const { engineName, isComplete } = extent
  describe(`beam search finds all hypotheses and scores of the reference implementation, ${engineName}`, () => {
    for (const [nth, name] of parityCaseNames().entries()) {
      const batches = readParityBatches(name)
      const settings = [...batches[0].beam.keys()].filter((k) => isComplete || k === nth % 6)
      const numRows = batches.reduce((sum, { input_ids }) => sum + input_ids.length, 0)
      it(`${name}: ${settings.length * numRows} rows`, async () => {
        const engine = await makeEngine(readParityModel(name))
        try {
          for (const batch of batches) {
            for (const k of settings) checkRows(await search(engine, batch, batch.beam[k]), batch.beam[k])
          }
        } finally {
          engine.dispose()
        }
      }).timeout(300_000)
    }
  })
}

function search(engine: DecoderEngine, batch: ParityBatch, vector: ParityBeams): Promise<RowResult[]> {
  return decodeAll(engine, sourcesOf(batch), {
    policy: full(),
    selection: beams({
      beams: vector.num_beams,
      lengthPenalty: vector.length_penalty,
      earlyStopping: vector.early_stopping,
    }),
    maxNewTokens: batch.max_new_tokens,
    batchSize: 3,
  })
}

function checkRows(results: readonly RowResult[], vector: ParityBeams): void {
  assert.equal(results.length, vector.ids.length)
  for (const [row, { tokens, hypotheses }] of results.entries()) {
    const what = `penalty ${vector.length_penalty}, early stopping ${vector.early_stopping}, row ${row}`
    assert.deepEqual(
      hypotheses!.map(({ tokens }) => tokens),
      vector.ids[row],
      what,
    )
    assert.deepEqual(tokens, vector.ids[row][0], what)
    for (const [k, { score }] of hypotheses!.entries()) {
      // The vectors' own bound for float32.
      const isNear = Math.abs(score - vector.scores[row][k]) <= 1e-4
      if (!isNear) assert.fail(`${what}, hypothesis ${k}: ${score}, not ${vector.scores[row][k]}`)
    }
  }
}
