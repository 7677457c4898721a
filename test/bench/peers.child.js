// A worker that follows the line protocol, or breaks it as its first word says: node peers.child.js <fault> [when].
// It "translates" a source of n tokens to n + 1, 1 being the end of sequence, and reports times that are easy to check.
import { createInterface } from 'node:readline'

const [fault = 'none', when = 'decode'] = process.argv.slice(2)
const say = (value) => process.stdout.write(`${typeof value === 'string' ? value : JSON.stringify(value)}\n`)

const FAULTS = {
  none: () => false,
  crash() {
    process.stderr.write('Traceback\nOutOfMemoryError: no more memory\n')
    process.exit(3)
  },
  hang: () => true,
  garbage: () => say('Loading weights: 100%'),
  refuse: ({ id }) => say({ id, error: 'no such model' }),
  late: ({ id }) => say({ id: id - 1, ms: 1, encoderMs: null, tokens: [[5]] }),
  short: ({ id, maxNewTokens }) =>
    say({ id, ms: 1, encoderMs: 0, tokens: [Array(Math.max(1, maxNewTokens - 1)).fill(5)] }),
  negative: ({ id }) => say({ id, ms: -1, encoderMs: null, tokens: [[5]] }),
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  if (request.op === when && FAULTS[fault](request) !== false) continue
  const { id, op, sources, maxNewTokens, threads } = request
  if (op === 'load') say({ id, versions: { fake: '1.0' }, threads })
  else {
    const tokens = sources.map((source) => [...source.map((token) => token + 1), 1].slice(0, maxNewTokens))
    say({ id, ms: 10 + 2 * maxNewTokens, encoderMs: 10, tokens })
  }
}
