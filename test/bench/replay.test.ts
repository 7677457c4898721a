// Replayed exits: rows leave where the trace says, real policies do their whole work, and nothing else changes.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { drawnTrace, recordedTrace, type ExitTrace } from '../../bench/decode/exitTrace.js'
import { withExits, withoutEnd } from '../../bench/decode/replay.js'
import {
  decodeAll,
  free,
  full,
  lossless,
  staticExit,
  type Exit,
  type Policy,
} from '../../src/decoding/index.js'
import { Random } from '../../src/random.js'
import { EOS, scriptedEngine, type ScriptedEngine } from '../decoding/scriptedEngine.js'

const SOURCE = [5, EOS]

/** Exits that never agree and are half sure, and a deep one that ends at the third token. */
const stubborn = () =>
  scriptedEngine((_, { length }) => ({
    shallow: 20 + length,
    confidence: 0.5,
    deep: length === 3 ? EOS : 60 + length,
  }))

/** Decodes a row a trace, all in one batch. */
async function replay(
  traces: readonly ExitTrace[],
  policy: Policy,
  options: { maxNewTokens: number; maxPending?: number; engine?: ScriptedEngine },
) {
  const { engine = stubborn(), ...loop } = options
  const sources = traces.map(() => SOURCE)
  const replayed = withExits(withoutEnd(engine), traces)
  return decodeAll(replayed, sources, { ...loop, policy, batchSize: traces.length })
}

const exitLists = fc.array(fc.constantFrom<Exit>('shallow', 'deep'), { minLength: 1, maxLength: 20 })

/** Sizes of the flushes that a list of exits leads to, and what is pending at its end. */
function flushesOf(exits: readonly Exit[]): { flushes: number[]; pending: number } {
  const flushes: number[] = []
  let pending = 0
  for (const exit of exits) {
    pending++
    if (exit === 'shallow') continue
    flushes.push(pending)
    pending = 0
  }
  return { flushes, pending }
}

describe('replayed exits', () => {
  it('free leaves where the trace says, whatever the exits are sure of, and flushes accordingly', () =>
    fc.assert(
      fc.asyncProperty(exitLists, async (exits) => {
        const maxNewTokens = exits.length
        const [result] = await replay([recordedTrace(exits)], free(0.9), { maxNewTokens })
        assert.deepEqual(result.exits, exits)
        assert.deepEqual([result.flushes, result.pendingAtEnd], Object.values(flushesOf(exits)))
      }),
      { numRuns: 50 },
    ))

  it('lossless keeps every draft of a trace that agrees, and pays for each flush and the last one', () =>
    fc.assert(
      fc.asyncProperty(exitLists, async (exits) => {
        const maxNewTokens = exits.length
        const engine = stubborn()
        const [result] = await replay([recordedTrace(exits)], lossless(0.9), { maxNewTokens, engine })
        const { flushes, pending } = flushesOf(exits)
        assert.deepEqual(result.exits, exits)
        assert.deepEqual(result.flushes, pending > 0 ? [...flushes, pending] : flushes)
        assert.equal(result.retracted, 0)
        // Each exit was really asked: none of the passes went by one.
        assert.equal(engine.log.filter((line) => line.startsWith('run 0')).length, exits.length)
        assert.ok(engine.log.every((line) => !line.includes('blind')))
      }),
      { numRuns: 50 },
    ))

  it('lossless takes back the first draft that the trace disagrees with, and decodes on from there', async () => {
    const asked: number[] = []
    const trace: ExitTrace = {
      leaves: (position) => asked.push(position) > 0 && position < 4,
      agrees: (position) => position !== 2,
    }
    const engine = stubborn()
    const [result] = await replay([trace], lossless(), { maxNewTokens: 6, engine })
    // Four drafts, flushed with the fifth position; the third is wrong, and its successor left again.
    assert.deepEqual(result.flushes, [5, 2, 1])
    assert.deepEqual(result.exits, ['shallow', 'shallow', 'deep', 'shallow', 'deep', 'deep'])
    assert.equal(result.retracted, 2)
    assert.deepEqual(asked, [0, 1, 2, 3, 4, 3, 4, 5])
    assert.ok(engine.log.includes('truncate 0 3'))
    // The draft was 20 + 3; another token stands in its place.
    assert.deepEqual(result.tokens.slice(0, 3), [21, 22, 24])
  })

  it('what was taken back is forgotten: a position that leaves no more gets its own deep token', async () => {
    let isFirst = true
    const trace: ExitTrace = {
      leaves: (position) => isFirst && position < 4,
      agrees: () => (isFirst = false),
    }
    const [result] = await replay([trace], lossless(), { maxNewTokens: 4 })
    assert.deepEqual(result.flushes, [4, 1, 1, 1])
    // Deep tokens are 60 and the number of tokens before; the end at the third is a token like any other here.
    assert.deepEqual(result.tokens, [22, 62, EOS, 64])
  })

  it('a bound of the stack still forces a flush', async () => {
    const all = recordedTrace(['shallow'])
    const [result] = await replay([all], free(), { maxNewTokens: 9, maxPending: 2 })
    assert.deepEqual(result.flushes, [3, 3, 3])
    assert.deepEqual(result.forced, [2, 5, 8])
  })

  it('a row of a batch goes as it goes alone, under policies that take back too', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.nat(1000), { minLength: 2, maxLength: 4 }), async (seeds) => {
        const traceOf = (seed: number) => drawnTrace(new Random(seed), { exitShare: 0.7, agreement: 0.6 })
        for (const policy of [free(), lossless(), full(), staticExit()]) {
          const together = await replay(seeds.map(traceOf), policy, { maxNewTokens: 12 })
          for (const [row, seed] of seeds.entries()) {
            const [alone] = await replay([traceOf(seed)], policy, { maxNewTokens: 12 })
            assert.deepEqual(together[row], alone)
          }
        }
      }),
      { numRuns: 20 },
    ))

  it('leaves full decoding as it is, but for its end', async () => {
    const trace = drawnTrace(new Random(1), { exitShare: 0.5, agreement: 1 })
    const [replayed] = await replay([trace], full(), { maxNewTokens: 6 })
    assert.deepEqual(replayed.tokens, [61, 62, EOS, 64, 65, 66])
    const [plain] = await decodeAll(stubborn(), [SOURCE], { policy: full(), maxNewTokens: 6 })
    assert.deepEqual(plain.tokens, replayed.tokens.slice(0, 3))
    assert.equal(replayed.finishReason, 'length')
  })

  it('frees what it opened, and nothing that it does not own', async () => {
    const engine = stubborn()
    await replay([recordedTrace(['deep'])], free(), { maxNewTokens: 2, engine })
    assert.deepEqual(engine.log.slice(-2), ['close', 'forget'])
  })
})
