// The progress bar: what it shows, that it fits, and that it is silent where nobody looks.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { barLine, createProgress, formatDuration, formatRate } from '../../src/cli/progress.js'

/** A stream that remembers, and a clock that is moved by hand. */
function setUp(options: { readonly isTTY: boolean; readonly isQuiet?: boolean; readonly columns?: number }) {
  const written: string[] = []
  const clock = { ms: 0 }
  const progress = createProgress({
    stream: { write: (text) => written.push(text), isTTY: options.isTTY, columns: options.columns ?? 80 },
    isQuiet: options.isQuiet ?? false,
    label: 'training',
    total: 100,
    now: () => clock.ms,
  })
  return { progress, written, clock }
}

describe('progress', () => {
  it('shows a bar, counts, time left and details on a terminal', () => {
    const { progress, written, clock } = setUp({ isTTY: true })
    clock.ms = 10_000
    progress.update(25, ['12.3k tokens/s', 'loss 2.310'])
    const line = '\r\x1b[2Ktraining ━━━━━━─────────────────── 25/100  30s left  12.3k tokens/s  loss 2.310'
    assert.deepEqual(written, [line])
  })

  it('is redrawn at most ten times a second, and always at the end', () => {
    const { progress, written, clock } = setUp({ isTTY: true })
    for (clock.ms = 0; clock.ms < 1000; clock.ms += 10) progress.update(clock.ms / 10)
    assert.equal(written.length, 10)
    progress.update(100)
    assert.match(written.at(-1)!, /100\/100/)
  })

  it('counts the rate only of what was done since it began', () => {
    const written: string[] = []
    const clock = { ms: 0 }
    const stream = { write: (text: string) => written.push(text), isTTY: true }
    const now = () => clock.ms
    const progress = createProgress({ stream, isQuiet: false, label: 'x', total: 100, done: 90, now })
    clock.ms = 5_000
    progress.update(95)
    assert.match(written[0], / 5s left/)
  })

  it('gives way to remarks and leaves nothing behind', () => {
    const { progress, written } = setUp({ isTTY: true })
    progress.note('before')
    progress.update(1)
    progress.note('between')
    progress.end()
    progress.end()
    assert.equal(written[0], 'before\n')
    assert.equal(written[2], '\r\x1b[2Kbetween\n')
    assert.equal(written.at(-1), '\r\x1b[2K')
    assert.equal(written.length, 5)
  })

  it('writes a plain line every 30 seconds where there is no terminal', () => {
    const { progress, written, clock } = setUp({ isTTY: false })
    for (clock.ms = 0; clock.ms <= 70_000; clock.ms += 1000) progress.update(clock.ms / 1000, ['loss 1.0'])
    assert.deepEqual(written, [
      'training 30/100  1m10s left  loss 1.0\n',
      'training 60/100  40s left  loss 1.0\n',
    ])
  })

  it('says nothing when quiet', () => {
    const { progress, written, clock } = setUp({ isTTY: true, isQuiet: true })
    progress.update(1)
    clock.ms = 100_000
    progress.update(100)
    progress.note('remark')
    progress.end()
    assert.deepEqual(written, [])
  })

  it('never is wider than the terminal, and keeps label and counts while they fit', () => {
    const parts = fc.record({
      label: fc.constantFrom('training', 'decoding'),
      done: fc.nat(1e7),
      total: fc.nat(1e7),
      left: fc.option(fc.nat(1e9), { nil: undefined }),
      details: fc.array(fc.string({ unit: 'grapheme-ascii', maxLength: 40 }), { maxLength: 5 }),
    })
    fc.assert(
      fc.property(parts, fc.integer({ min: 1, max: 200 }), (line, width) => {
        const text = barLine(line, width)
        assert.ok(text.length <= width)
        if (width >= 60) assert.ok(text.startsWith(`${line.label} `) && text.includes('/'))
      }),
    )
  })

  const durations: readonly [number, string][] = [
    [0, '0s'],
    [59_400, '59s'],
    [59_600, '1m00s'],
    [192_000, '3m12s'],
    [7_500_000, '2h05m'],
  ]
  for (const [ms, text] of durations)
    it(`writes ${ms} ms as ${text}`, () => assert.equal(formatDuration(ms), text))

  const rates: readonly [number, string][] = [
    [0.94, '0.9'],
    [9.96, '10'],
    [940.4, '940'],
    [9994, '9,994'],
    [9996, '10.0k'],
    [12_345, '12.3k'],
  ]
  for (const [rate, text] of rates)
    it(`writes a rate of ${rate} as ${text}`, () => assert.equal(formatRate(rate), text))
})
