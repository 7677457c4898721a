// Peers of the benchmark: what becomes of a worker that breaks the protocol, that only one computes at a time and all on the
// same sources, and the mathematics of the table. No peer is needed: a scripted worker stands in.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import {
  measure,
  type Contestant,
  type Decoder,
  type Sample,
  type Turn,
  type Work,
} from '../../bench/peers/measure.js'
import { PEERS, selectPeers } from '../../bench/peers/peers.js'
import { processUse } from '../../bench/peers/processUse.js'
import { agreement, batchTimes, bestLines, median, summarise } from '../../bench/peers/summarise.js'
import { PeerWorker } from '../../bench/peers/worker.js'
import { ShallowDeepError } from '../../src/errors.js'
import { ROOT } from '../cli/runCommand.js'

const LOAD = { model: '/nowhere', dtype: 'float32', threads: 2 }
const DECODE = { sources: [[7, 8, 9]], maxNewTokens: 2 }

function start(fault: string, { when = 'decode', timeoutMs = 10_000 } = {}): PeerWorker {
  const words = [join(ROOT, 'test/bench/peers.child.js'), fault, when]
  return new PeerWorker({ name: 'fake', program: process.execPath, words }, timeoutMs)
}

async function failureOf(work: Promise<unknown>): Promise<ShallowDeepError> {
  const error: unknown = await work.then(
    () => assert.fail('expected a failure'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof ShallowDeepError, String(error))
  assert.equal(error.kind, 'failure')
  assert.doesNotMatch(error.message, /\n/)
  assert.match(error.message, /fake/)
  return error
}

describe('a worker of a peer', () => {
  it('loads, decodes in order, and ends when it is closed', async () => {
    const worker = start('none')
    const loaded = await worker.load(LOAD)
    assert.deepEqual([loaded.versions, loaded.threads], [{ fake: '1.0' }, 2])
    const first = await worker.decode(DECODE)
    assert.deepEqual(first.tokens, [[8, 9]])
    assert.deepEqual((await worker.decode({ ...DECODE, maxNewTokens: 9 })).tokens, [[8, 9, 10, 1]])
    const pid = worker.pid!
    await worker.close()
    await worker.close()
    assert.throws(() => process.kill(pid, 0), /ESRCH/)
  })

  const faults: [fault: string, code: string, message: RegExp][] = [
    ['crash', 'peers.worker-died', /ended with code 3: .*OutOfMemoryError: no more memory/],
    ['hang', 'peers.timeout', /gave no answer within 0\.7 s/],
    ['garbage', 'peers.bad-reply', /no answer to it: Loading weights: 100%/],
    ['refuse', 'peers.worker-failed', /could not decode: no such model/],
    ['late', 'peers.bad-reply', /answered decode 2/],
    ['negative', 'peers.bad-reply', /"ms":-1/],
  ]
  for (const [fault, code, message] of faults) {
    it(`that ${fault}s is one error that names it: ${code}`, async () => {
      const worker = start(fault, { timeoutMs: fault === 'hang' ? 700 : 10_000 })
      try {
        // Starting Node may take longer than the hanging one's answer may.
        if (fault !== 'hang') await worker.load(LOAD)
        const error = await failureOf(worker.decode(DECODE))
        assert.equal(error.code, code)
        assert.match(error.message, message)
        if (code === 'peers.worker-failed') return
        assert.equal((await failureOf(worker.decode(DECODE))).code, code)
      } finally {
        await worker.close()
      }
    })
  }

  it('that cannot be started is an error, too', async () => {
    const worker = new PeerWorker({ name: 'fake', program: '/no/such/program', words: [] }, 1000)
    assert.equal((await failureOf(worker.load(LOAD))).code, 'peers.worker-died')
    await worker.close()
  })
})

const WORK: Work = {
  sources: [[2], [3], [4]],
  maxNewTokens: 2,
  isFixedLength: true,
  batchSize: 1,
  rounds: 3,
  batchesPerTurn: 2,
  restMs: 0,
}

describe('rounds', () => {
  /** Two workers, three contestants; keeps a journal of who decodes what, and whether anyone else does. */
  function contestants(): { readonly all: Contestant[]; readonly journal: string[] } {
    const journal: string[] = []
    let running = 0
    const decoder = (name: string): Decoder => ({
      pid: process.pid,
      async decode({ sources, maxNewTokens, policy }) {
        assert.equal(running++, 0, 'one at a time')
        await new Promise((resolve) => setImmediate(resolve))
        running--
        journal.push(`${name}${policy ? '+' : ''} ${sources.flat().join()} ${maxNewTokens}`)
        return {
          id: 1,
          ms: maxNewTokens,
          encoderMs: 0,
          tokens: sources.map(() => Array(maxNewTokens).fill(5)),
        }
      },
    })
    const [a, b] = [decoder('a'), decoder('b')]
    const loaded = { threads: 1, versions: {} }
    const policy = { name: 'free', threshold: 0.3 } as const
    return {
      journal,
      all: [
        { name: 'a', peer: 'a', worker: a, loaded },
        { name: 'b', peer: 'b', worker: b, loaded },
        { name: 'b free', peer: 'b', worker: b, loaded, policy },
      ],
    }
  }

  it('give all the same sources, each round beginning with another one, after a warm-up that does not count', async () => {
    const { all, journal } = contestants()
    const { turns, failures } = await measure(all, WORK)
    assert.equal(failures.size, 0)
    assert.deepEqual(
      turns.map(({ contestant, round }) => `${round} ${contestant}`),
      ['1 b', '1 b free', '1 a', '2 b free', '2 a', '2 b', '3 a', '3 b', '3 b free'],
    )
    for (const round of [1, 2, 3]) {
      const sources = turns
        .filter((turn) => turn.round === round)
        .map(({ samples }) => samples.map((s) => s.sources))
      const expected = [
        [[0], [1]],
        [[2], [0]],
        [[1], [2]],
      ][round - 1]
      assert.deepEqual(sources, [expected, expected, expected])
    }
    assert.deepEqual(journal.slice(0, 4), ['a 2 1', 'a 2 2', 'a 3 1', 'a 3 2'])
    assert.equal(journal.length, 4 * 3 * 2 * 2)
  })

  it('go on without a contestant that fails or does other work', async () => {
    const { all } = contestants()
    const worker = start('short')
    const crashing = start('crash')
    try {
      for (const other of [worker, crashing]) await other.load(LOAD)
      const loaded = { threads: 1, versions: {} }
      const bad = { name: 'fake', peer: 'fake', worker, loaded }
      const dead = { name: 'fake dead', peer: 'fake', worker: crashing, loaded }
      const { turns, failures } = await measure([bad, ...all, dead], { ...WORK, maxNewTokens: 3 })
      assert.equal(failures.get('fake')!.code, 'peers.other-work')
      assert.match(failures.get('fake')!.message, /expected 1 rows of 3 tokens, got lengths 2/)
      assert.equal(failures.get('fake dead')!.code, 'peers.worker-died')
      assert.deepEqual([...new Set(turns.map(({ contestant }) => contestant))].toSorted(), [
        'a',
        'b',
        'b free',
      ])
    } finally {
      await Promise.all([worker.close(), crashing.close()])
    }
  })

  it('stop when they are aborted', async () => {
    const reason = new Error('enough')
    const { all, journal } = contestants()
    const controller = new AbortController()
    const onTurn = () => void (journal.length > 0 && controller.abort(reason))
    await assert.rejects(measure(all, WORK, { onTurn, signal: controller.signal }), reason)
    assert.equal(journal.length, 4)
  })
})

/** A sample of one row of 5 tokens. */
function sample(more: Partial<Sample> = {}): Sample {
  return { sources: [0], tokens: [[5, 6, 7, 8, 9]], ms: 60, firstMs: 20, encoderMs: 10, cpuMs: 100, ...more }
}

function turn(contestant: string, round: number, samples: readonly Sample[]): Turn {
  return { contestant, round, samples, residentBytes: 1e6 * round, idleShare: 0 }
}

describe('the table of peers', () => {
  it('takes the encoder from the time a token, known or estimated', () => {
    assert.deepEqual(batchTimes(sample()), { msPerToken: 10, encoderMs: 10 })
    // 4 steps in 60 - 20 ms: 10 each, so that 10 of the first 20 are the encoder's.
    assert.deepEqual(batchTimes(sample({ encoderMs: null })), { msPerToken: 10, encoderMs: 10 })
    // A batch: as many steps as the longest row has, all rows' tokens.
    const rows = [
      [5, 6, 7, 8, 9],
      [5, 6, 7],
    ]
    assert.deepEqual(batchTimes(sample({ encoderMs: null, tokens: rows })), {
      msPerToken: 6.25,
      encoderMs: 10,
    })
    // Noise must not make it negative, nor one token divide by nothing.
    assert.equal(batchTimes(sample({ encoderMs: null, firstMs: 1 })).encoderMs, 0)
    assert.deepEqual(batchTimes(sample({ encoderMs: null, tokens: [[5]] })), { msPerToken: 60, encoderMs: 0 })
  })

  it('pairs ratios within rounds, so that a slow round of all changes none', () => {
    const slow = (factor: number) => sample({ ms: 10 + 50 * factor })
    const turns = [1, 2, 3].flatMap((round) => {
      const busy = round === 2 ? 10 : round
      return [
        turn('base', round, [slow(3 * busy), slow(3 * busy)]),
        turn('own', round, [slow(busy), slow(busy)]),
      ]
    })
    const context = {
      ...{ threads: 2, batchSize: 1, baselines: ['base', 'absent'], reference: 'base' },
      usedThreads: () => 1,
      score: (outputs: ReadonlyMap<number, unknown>) => outputs.size,
    }
    const [base, own] = summarise(['base', 'own', 'without turns'], turns, context)
    assert.deepEqual(own.msPerToken, { median: 30, min: 10, max: 100 })
    assert.equal(own.ratios.base!.toFixed(9), '3.000000000')
    assert.equal(own.ratios.absent, null)
    assert.deepEqual([base.ratios.base, own.threads, own.usedThreads, own.bleu], [1, 2, 1, 1])
    assert.deepEqual([own.cpuMsPerToken, own.residentBytes, own.firstMs], [20, 3e6, 20])
    assert.deepEqual([own.sameTokens, own.sameStart], [1, 5])
  })

  it("says how many tokens are the reference's, and how many before the first that is not", () => {
    const reference = new Map([
      [0, [5, 6, 7, 8]],
      [1, [5, 6]],
      [2, [9]],
    ])
    const outputs = new Map([
      [0, [5, 6, 0, 8]],
      [1, [5, 6, 7]],
      [3, [1]],
    ])
    assert.deepEqual(agreement(reference, outputs), { sameTokens: 5 / 7, sameStart: 2 })
    assert.deepEqual(agreement(reference, new Map()), { sameTokens: null, sameStart: null })
  })

  it('has each at its best number of threads, and ratios to the baselines at theirs', () => {
    const line = (contestant: string, threads: number, ms: number) =>
      summarise([contestant], [turn(contestant, 1, [sample({ ms: 10 + 5 * ms })])], {
        ...{ threads, batchSize: 1, baselines: [], reference: undefined },
        usedThreads: () => threads,
      })[0]
    const lines = [line('base', 1, 20), line('own', 1, 6), line('base', 2, 12), line('own', 2, 8)]
    assert.deepEqual(bestLines(lines, ['base', 'absent']), [
      { contestant: 'base', threads: 2, msPerToken: 12, ratios: { base: 1, absent: null } },
      { contestant: 'own', threads: 1, msPerToken: 6, ratios: { base: 2, absent: null } },
    ])
    assert.deepEqual(bestLines([{ ...lines[0], batchSize: 8 }], []), [])
  })

  it('takes the middle of any number of values', () => {
    assert.deepEqual([median([3]), median([9, 1]), median([4, 1, 9]), median([1, 2, 4, 100])], [3, 5, 4, 3])
  })
})

describe('who takes part', () => {
  it('is told by name or family, and a misspelt one is refused with the near miss', () => {
    const namesOf = (...given: string[]) => selectPeers(given).map(({ name }) => name)
    assert.deepEqual(namesOf('onnx', 'pytorch-int8'), [
      'pytorch-int8',
      'onnx-float32',
      'onnx-int8',
      'onnx-q4',
    ])
    assert.equal(new Set(PEERS.map(({ name }) => name)).size, PEERS.length)
    assert.throws(
      () => selectPeers(['pytorch-in8']),
      (error: ShallowDeepError) => error.kind === 'usage' && error.hint === 'did you mean pytorch-int8?',
    )
  })

  it('is told with what the processes use', function () {
    if (process.platform !== 'linux') this.skip()
    const use = processUse(process.pid)!
    const { user, system } = process.cpuUsage()
    assert.ok(Math.abs(use.cpuMs - (user + system) / 1000) < 100)
    assert.ok(Math.abs(use.residentBytes / process.memoryUsage().rss - 1) < 0.2)
    assert.equal(processUse(2 ** 30), undefined)
  })
})
