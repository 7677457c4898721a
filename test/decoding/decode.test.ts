// The loop over a scripted engine: what it asks of the engine, the events it yields, and how it ends.
import assert from 'node:assert/strict'
import { betaMixture, fixed } from '../../src/calibration/index.js'
import { decode, decodeOne, free, full, lossless, staticExit } from '../../src/decoding/index.js'
import type { DecodeEvent, DecodeOptions, TextStream } from '../../src/decoding/index.js'
import { byPosition, EOS, scriptedEngine, START } from './scriptedEngine.js'
import type { ScriptedEngine } from './scriptedEngine.js'

async function eventsOf(engine: ScriptedEngine, options: DecodeOptions): Promise<DecodeEvent[]> {
  const events: DecodeEvent[] = []
  for await (const event of decode(engine, [[5, EOS]], options)) events.push(event)
  return events
}

/** Events in short: `3 shallow`, `4 deep of 2, -1`, `commit 0: 3,4`. */
const inShort = (events: readonly DecodeEvent[]): string[] =>
  events.map((event) => {
    switch (event.type) {
      case 'token':
        return (
          `${event.token} ${event.exit}` +
          (event.flushSize > 0 ? ` of ${event.flushSize}` : '') +
          (event.retracted > 0 ? `, -${event.retracted}` : '')
        )
      case 'commit':
        return `commit ${event.position}: ${event.tokens.join()}${event.text}`
      case 'end':
        return `end ${event.result.finishReason}`
      case 'encoded':
        return 'encoded'
    }
  })

describe('the decoding loop', () => {
  it('free: a flush takes the stack and the current position through the deep layers in one run', async () => {
    const engine = byPosition([10, 0.9, 10], [11, 0.8, 21], [12, 0.1, 22], [EOS, 0.9, EOS])
    const events = await eventsOf(engine, { policy: free(0.5), evidence: true })
    assert.deepEqual(inShort(events), [
      'encoded',
      ...['10 shallow', 'commit 0: 10', '11 shallow', 'commit 1: 11', '22 deep of 3', 'commit 2: 22'],
      ...[`${EOS} shallow`, `commit 3: ${EOS}`, 'end eos'],
    ])
    assert.deepEqual(engine.log, [
      ...['encode', 'open', `push 0 ${START}`, 'run 0 [0] -> 1', 'push 0 10', 'run 0 [0] -> 1'],
      ...['push 0 11', 'run 0 [0] -> 1', 'run 1 [0] -> 3', 'push 0 22', 'run 0 [0] -> 1', 'close', 'forget'],
    ])
    const end = events.at(-1)!
    assert.ok(end.type === 'end')
    const { evidence, confidences, ...result } = end.result
    assert.deepEqual(
      evidence.map(({ position, agree }) => [position, agree]),
      [
        [0, true],
        [1, false],
        [2, false],
      ],
    )
    for (const [i, expected] of [0.9, 0.8, 0.1, 0.9].entries()) {
      assert.ok(Math.abs(confidences[i]! - expected) < 1e-12)
    }
    assert.deepEqual(result, {
      tokens: [10, 11, 22, EOS],
      exits: ['shallow', 'shallow', 'deep', 'shallow'],
      exitLayers: [2, 2, 6, 2],
      text: '',
      threshold: 0.5,
      finishReason: 'eos',
      flushes: [3],
      forced: [],
      pendingAtEnd: 1,
      steps: 4,
      retracted: 0,
      layerPasses: 4 * 2 + 4,
    })
  })

  it('free: a flush looks at the newest position alone where nobody wants evidence', async () => {
    const exits: [number, number, number][] = [
      [10, 0.9, 10],
      [11, 0.8, 21],
      [12, 0.1, 22],
      [EOS, 0.9, EOS],
    ]
    const [engine, observed] = [byPosition(...exits), byPosition(...exits)]
    const { evidence, ...result } = await decodeOne(engine, [EOS], { policy: free(0.5) })
    const { evidence: all, ...same } = await decodeOne(observed, [EOS], { policy: free(0.5), evidence: true })
    assert.deepEqual(result, same)
    assert.deepEqual([evidence, all.length], [[], 3])
    const flushesOf = ({ log }: typeof engine) => log.filter((line) => line.startsWith('run 1'))
    assert.deepEqual(flushesOf(engine), ['run 1 [0] at the newest -> 3'])
    assert.deepEqual(flushesOf(observed), ['run 1 [0] -> 3'])
  })

  it('a confidence equal to the threshold does not exit', async () => {
    const engine = byPosition([10, 0.5, 20])
    const { exits } = await decodeOne(engine, [EOS], { policy: free(0.5), maxNewTokens: 1 })
    assert.deepEqual(exits, ['deep'])
  })

  it('a full stack forces a flush, and says so', async () => {
    const engine = byPosition([10, 0.9, 20], [11, 0.9, 21], [12, 0.9, 22], [13, 0.2, 23])
    const events = await eventsOf(engine, { policy: free(0.5), maxPending: 2, maxNewTokens: 4 })
    const tokens = events.filter((event) => event.type === 'token')
    assert.deepEqual(
      tokens.map(({ flushSize, isForced }) => [flushSize, isForced]),
      [
        [0, false],
        [0, false],
        [3, true],
        [1, false],
      ],
    )
    const end = events.at(-1)!
    assert.ok(end.type === 'end')
    assert.deepEqual(end.result.forced, [2])
  })

  it('maxPending 0 sends every token deep', async () => {
    const engine = byPosition([10, 0.9, 20], [11, 0.9, 21])
    const { tokens, flushes } = await decodeOne(engine, [EOS], {
      policy: free(0.5),
      maxPending: 0,
      maxNewTokens: 2,
    })
    assert.deepEqual(
      [tokens, flushes],
      [
        [20, 21],
        [1, 1],
      ],
    )
  })

  it('full passes the shallow exit by, and has no confidence', async () => {
    const engine = byPosition([10, 0.9, 20], [11, 0.9, EOS])
    const result = await decodeOne(engine, [EOS], { policy: full() })
    assert.deepEqual(result.tokens, [20, EOS])
    assert.deepEqual(result.confidences, [null, null])
    assert.deepEqual([result.evidence, result.threshold, result.flushes], [[], null, [1, 1]])
    assert.equal(result.layerPasses, 2 * 6)
    assert.ok(engine.log.includes('run 0 [0] blind -> 1'))
  })

  it('static never runs what is deeper', async () => {
    const engine = byPosition([10, 0, 20], [EOS, 0, 21])
    const result = await decodeOne(engine, [EOS], { policy: staticExit() })
    assert.deepEqual([result.tokens, result.exitLayers, result.pendingAtEnd], [[10, EOS], [2, 2], 2])
    assert.equal(result.layerPasses, 2 * 2)
    assert.ok(!engine.log.some((line) => line.startsWith('run 1')))
  })

  it('static rejects a layer that the model does not have', async () => {
    for (const layer of [0, 7, 1.5]) {
      await assert.rejects(decodeOne(byPosition(), [EOS], { policy: staticExit(layer) }), {
        code: 'decoding.exit-layer',
      })
    }
  })

  describe('lossless', () => {
    it('replaces the first difference, drops what came after, and commits nothing earlier', async () => {
      // After 10, 21 the deep exit goes on with 22, and the shallow one agrees.
      const engine = scriptedEngine((_, tokens) => {
        const last = tokens.at(-1)!
        if (last === START) return { shallow: 10, confidence: 0.9, deep: 10 }
        if (last === 10) return { shallow: 11, confidence: 0.9, deep: 21 }
        if (last === 21) return { shallow: EOS, confidence: 0.9, deep: EOS }
        return { shallow: 12, confidence: last === 12 ? 0.1 : 0.9, deep: 99 }
      })
      const events = await eventsOf(engine, { policy: lossless(0.5) })
      assert.deepEqual(inShort(events), [
        ...['encoded', '10 shallow', '11 shallow', '12 shallow', '21 deep of 4, -2', 'commit 0: 10,21'],
        ...[`${EOS} shallow`, `commit 2: ${EOS}`, 'end eos'],
      ])
      assert.ok(engine.log.includes('truncate 0 2'))
      const end = events.at(-1)!
      assert.ok(end.type === 'end')
      const { evidence, flushes, steps, retracted, pendingAtEnd } = end.result
      // Up to and including the first difference; the flush at the end had one position.
      assert.deepEqual(
        evidence.map(({ position, agree }) => [position, agree]),
        [
          [0, true],
          [1, false],
          [2, true],
        ],
      )
      assert.deepEqual([flushes, steps, retracted, pendingAtEnd], [[4, 1], 5, 2, 0])
    })

    it('goes on after a difference at a shallow end of sequence', async () => {
      const engine = scriptedEngine((_, tokens) =>
        tokens.length === 1
          ? { shallow: EOS, confidence: 0.9, deep: 20 }
          : { shallow: 11, confidence: 0.1, deep: EOS },
      )
      const events = await eventsOf(engine, { policy: lossless(0.5) })
      assert.deepEqual(inShort(events), [
        ...['encoded', `${EOS} shallow`, '20 deep of 1, -1', 'commit 0: 20', `${EOS} deep of 1`],
        ...[`commit 1: ${EOS}`, 'end eos'],
      ])
    })

    it('goes on after a difference at the length limit', async () => {
      const engine = scriptedEngine((_, tokens) => {
        const position = tokens.length - 1
        return { shallow: 10 + position, confidence: 0.9, deep: 20 + position }
      })
      const result = await decodeOne(engine, [EOS], { policy: lossless(0.5), maxNewTokens: 3 })
      assert.deepEqual(result.tokens, [20, 21, 22])
      assert.equal(result.finishReason, 'length')
      assert.equal(result.retracted, 3 + 2 + 1)
    })
  })

  describe('at the end of a sequence', () => {
    const exits: [number, number, number][] = [
      [10, 0.9, 10],
      [EOS, 0.9, 33],
    ]

    it('free leaves the stack as it is', async () => {
      const result = await decodeOne(byPosition(...exits), [EOS], { policy: free(fixed({ threshold: 0.5 })) })
      assert.deepEqual([result.pendingAtEnd, result.flushes, result.evidence], [2, [], []])
    })

    it('free flushes for the evidence when asked, and changes no token', async () => {
      const result = await decodeOne(byPosition(...exits), [EOS], { policy: free(0.5), flushAtEnd: true })
      assert.deepEqual([result.pendingAtEnd, result.flushes, result.tokens], [0, [2], [10, EOS]])
      assert.deepEqual(
        result.evidence.map(({ agree }) => agree),
        [true, false],
      )
      assert.equal(result.layerPasses, 2 * 2 + 4)
    })

    it('an adaptive calibrator makes that the default', async () => {
      const policy = free(betaMixture({ initialThreshold: 0.5 }))
      const result = await decodeOne(byPosition(...exits), [EOS], { policy })
      assert.deepEqual([result.pendingAtEnd, result.flushes], [0, [2]])
      const without = await decodeOne(byPosition(...exits), [EOS], { policy, flushAtEnd: false })
      assert.equal(without.pendingAtEnd, 2)
    })

    it('the length limit ends it too', async () => {
      const result = await decodeOne(byPosition(...exits), [EOS], { policy: free(0.5), maxNewTokens: 1 })
      assert.deepEqual([result.tokens, result.finishReason], [[10], 'length'])
    })

    it('minNewTokens holds the end of sequence back at both exits', async () => {
      const engine = scriptedEngine((_, tokens) => ({
        shallow: EOS,
        confidence: tokens.length === 1 ? 0.9 : 0.1,
        deep: EOS,
      }))
      const result = await decodeOne(engine, [EOS], { policy: free(0.5), minNewTokens: 2 })
      assert.deepEqual(result.tokens, [EOS + 1, EOS + 1, EOS])
    })
  })

  describe('text', () => {
    /** Holds each token back until the next one comes. */
    class Delayed implements TextStream {
      private held = ''
      push(token: number): string {
        const certain = this.held
        this.held = ` ${token}`
        return certain
      }
      end(): string {
        return `${this.held}.`
      }
    }
    const createTextStream = () => new Delayed()
    const textsOf = (events: readonly DecodeEvent[]) =>
      events.flatMap((event) => (event.type === 'commit' ? [event.text] : []))

    it('comes with the commits, what was held back with the last', async () => {
      const engine = byPosition([10, 0.9, 20], [11, 0.9, 21], [EOS, 0.9, 22])
      for (const flushAtEnd of [false, true]) {
        const events = await eventsOf(engine, { policy: free(0.5), createTextStream, flushAtEnd })
        assert.deepEqual(textsOf(events), ['', ' 10', ' 11 1.'])
        const end = events.at(-1)!
        assert.ok(end.type === 'end')
        assert.equal(end.result.text, ' 10 11 1.')
      }
    })

    it('waits for the flush under lossless', async () => {
      const engine = byPosition([10, 0.9, 10], [11, 0.1, 21], [EOS, 0.9, EOS])
      const events = await eventsOf(engine, { policy: lossless(0.5), createTextStream })
      assert.deepEqual(textsOf(events), [' 10', ' 21 1.'])
    })
  })

  describe('stopping', () => {
    const endless = () => scriptedEngine(() => ({ shallow: 10, confidence: 0.9, deep: 20 }))

    it('rejects with the reason of an abort that came before', async () => {
      const reason = new Error('no')
      const engine = endless()
      await assert.rejects(
        decodeOne(engine, [EOS], { policy: full(), signal: AbortSignal.abort(reason) }),
        (error) => error === reason,
      )
      assert.deepEqual(engine.log, [])
    })

    it('a timer can abort an engine that never waits', async () => {
      const engine = endless()
      const signal = AbortSignal.timeout(20)
      await assert.rejects(decodeOne(engine, [EOS], { policy: free(0.5), signal, maxNewTokens: 1e9 }), {
        name: 'TimeoutError',
      })
      assert.deepEqual(engine.log.slice(-2), ['close', 'forget'])
    })
  })

  describe('options', () => {
    it('unknown or impossible ones are errors', async () => {
      const attempt = (options: object) =>
        decodeOne(byPosition(), [EOS], { policy: full(), ...options } as DecodeOptions)
      await assert.rejects(attempt({ maxPendng: 3 }), { code: 'config.unknown-key' })
      for (const options of [{ maxNewTokens: 0 }, { maxPending: -1 }, { minNewTokens: 128 }]) {
        await assert.rejects(attempt(options), { code: 'config.invalid-value' })
      }
    })

    it('thresholds must be one a row, from 0 to 1', async () => {
      const policy = free(0.5)
      for (const thresholds of [[], [0.1, 0.2], [1.5], [NaN]]) {
        await assert.rejects(decodeOne(byPosition(), [EOS], { policy, thresholds }), {
          code: 'decoding.thresholds',
        })
      }
      await assert.rejects(decodeOne(byPosition(), [EOS], { policy: free(-1) }), {
        code: 'decoding.thresholds',
      })
    })

    it('confidence top1 is the largest probability', async () => {
      const { confidences } = await decodeOne(byPosition([10, 0.4, 20]), [EOS], {
        policy: free(0),
        confidence: 'top1',
        maxNewTokens: 1,
      })
      assert.deepEqual(confidences, [0.7])
    })
  })
})
