// Cells in rounds: what they decode, and who decides where the profit rule does.
import assert from 'node:assert/strict'
import { measureGrid, type GridCell } from '../../bench/decode/measureGrid.js'
import { drawnTrace } from '../../bench/decode/exitTrace.js'
import { withExits, withoutEnd } from '../../bench/decode/replay.js'
import { free } from '../../src/decoding/index.js'
import { ProfitRule, type DecodingCosts } from '../../src/evaluation/index.js'
import { Random } from '../../src/random.js'
import { EOS, scriptedEngine } from '../decoding/scriptedEngine.js'

/** Deep layers that cost nothing: no share of exits would pay; and expensive ones. */
const CHEAP: DecodingCosts = { shallowMs: 2, deep: [{ positions: 1, ms: 1 }], fullMs: 1 }
const DEAR: DecodingCosts = { shallowMs: 1, deep: [{ positions: 1, ms: 9 }], fullMs: 10 }

/** `free` where all tokens leave, decoded under a rule or under none. */
function cell(profit?: ProfitRule): GridCell {
  const engine = withoutEnd(
    scriptedEngine((_, { length }) => ({ shallow: 20 + length, confidence: 0, deep: 60 + length })),
  )
  const traces = [drawnTrace(new Random(1), { exitShare: 1, agreement: 1 })]
  return {
    spec: { policy: 'free', exits: 1, batchSize: 1 },
    workload: () => ({
      sources: [[5, EOS]],
      maxNewTokens: 4,
      engine: withExits(engine, traces),
      policy: free(0.5),
      profit,
    }),
  }
}

describe('the grid of the decoding benchmark', () => {
  it('decodes a cell as full where its rule says that exits cannot pay, and as its policy elsewhere', async () => {
    const cells = [cell(), cell(new ProfitRule({ costs: CHEAP })), cell(new ProfitRule({ costs: DEAR }))]
    const batches = await measureGrid(cells, { rounds: 3, warmUp: 1 })
    const exits = batches.map((rounds) =>
      rounds.flatMap(({ results }) => results.flatMap((row) => row.exits)),
    )
    const rounds = (exit: string) => Array.from({ length: 12 }, () => exit)
    assert.deepEqual(exits, [rounds('shallow'), rounds('deep'), rounds('shallow')])
  })
})
